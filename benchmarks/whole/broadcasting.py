"""A broadcast by e-mail to everybody, in steps that scenarios share."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.whole.lab import Lab, Producing
from benchmarks.whole.people import AUDIENCE
from benchmarks.whole.run import Run, Stretch
from benchmarks.whole.worker import Worker, until_done
from schemas import topics
from schemas.kafka import Record

_SALE = {
    "type": "promotion",
    "data": {
        "headline": "Sale",
        "offer": "20 percent off everything",
        "link": "https://example.com/sale",
    },
}
_NAMED = 5_000


@dataclass(frozen=True, slots=True)
class Done:
    """Both halves of broadcasts that were decided first, and sent when decide was gone."""

    fan_out: Stretch
    send: Stretch
    memory_mb: dict[str, float]
    """The most that a worker of each role held."""

    @property
    def cpu(self) -> float:
        """CPU seconds of all workers per million recipients."""
        return self.fan_out.per_million() + self.send.per_million()


async def ask(producing: Producing, broadcasts: int = 1, **said: object) -> None:
    """Ask for so many of them; returns when Kafka has them. `said`: what they say besides."""
    for _ in range(broadcasts):
        await _ask(producing, channels=["email"], audience=AUDIENCE, **said)


async def ask_users(producing: Producing, user_ids: Sequence[str], *, channel: str) -> None:
    """Ask for as many as it takes to reach people who are named."""
    for first in range(0, len(user_ids), _NAMED):
        await _ask(producing, channels=[channel], user_ids=user_ids[first : first + _NAMED])


async def in_two_halves(
    run: Run, lab: Lab, *, people: int, broadcasts: int = 1, workers: int = 1, label: str = ""
) -> Done:
    """Each half by so many workers, all on the worker's core; `label` tells stretches apart."""
    slots = range(workers)
    deciding = [lab.start("decide", slot) for slot in slots]
    fanned_out = await fan_out(
        run, lab, deciding, people=people, broadcasts=broadcasts, name=f"fan-out{label}"
    )
    memory_mb = {"decide": max(each.peak_resident_mb() for each in deciding)}
    for each in deciding:
        each.stop()
    sending = [lab.start("email", slot) for slot in slots]
    sent = await send(run, lab, sending, deliveries=people * broadcasts, name=f"send{label}")
    memory_mb["email"] = max(each.peak_resident_mb() for each in sending)
    lab.must_have_sent(people * broadcasts)
    return Done(fanned_out, sent, memory_mb)


async def fan_out(
    run: Run, lab: Lab, workers: list[Worker], *, people: int, broadcasts: int = 1, name: str
) -> Stretch:
    """From the request until every member's delivery is on its way."""
    for each in workers:
        await each.ready()
    before = sum([await each.done() for each in workers])
    async with lab.producing() as producing:
        with run.stretch(name, lab, *workers) as stretch:
            await ask(producing, broadcasts)
            told = people * broadcasts
            stretch.end(await until_done(workers, before + told), count=told)
    return stretch


async def send(
    run: Run, lab: Lab, workers: list[Worker], *, deliveries: int, name: str = "send"
) -> Stretch:
    """From the moment that all `workers` serve until that many deliveries have an outcome.

    The deliveries wait when the workers start; what was sent before all serve is not counted.
    """
    for each in workers:
        await each.ready()
    before = sum([await each.done() for each in workers])
    with run.stretch(name, lab, *workers) as stretch:
        stretch.end(await until_done(workers, deliveries), count=deliveries - before)
    return stretch


async def _ask(producing: Producing, **said: object) -> None:
    what = json.dumps(_SALE | said).encode()
    await producing.send(Record(topics.BROADCASTS_REQUESTED, 0, what))
    await producing.flush()
