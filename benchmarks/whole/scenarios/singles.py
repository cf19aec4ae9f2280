"""R: requests for single users that wait in Kafka, one record each, or many in one."""

import random
from collections.abc import Iterable

from benchmarks.whole import broadcasting
from benchmarks.whole.lab import Lab
from benchmarks.whole.load import in_batches, request
from benchmarks.whole.run import Run, Stretch
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import until_done
from schemas.kafka import Record

_REQUESTS = 100_000
_QUICK_REQUESTS = 10_000
_A_RECORD = 100


async def _run(run: Run) -> None:
    count = min(_QUICK_REQUESTS if run.is_quick else _REQUESTS, run.people)
    whom = random.Random(count).sample(range(run.people), count)
    async with run.lab() as lab:
        await _write(lab, (request(number, f"order-{number}") for number in whom))
        before = lab.bytes_in_kafka()
        decided = await _decide(run, lab, count)
        email = lab.start("email")
        sent = await broadcasting.send(run, lab, [email], deliveries=count)
        lab.must_have_sent(count)
        run.figure("kafka", (lab.bytes_in_kafka() - before) / count)
    async with run.lab() as lab:
        await _write(lab, in_batches(whom, _A_RECORD))
        of_batches = await _decide(run, lab, count, "decide-batches")
    run.figure("decide", decided.rate)
    run.figure("decide_batches", of_batches.rate)
    run.figure("send", sent.rate)
    run.figure("cpu_decide", decided.per_million())
    run.figure("cpu_batches", of_batches.per_million())
    run.figure("cpu_send", sent.per_million())


async def _write(lab: Lab, records: Iterable[Record]) -> None:
    async with lab.producing() as producing:
        for record in records:
            await producing.send(record)
        await producing.flush()


async def _decide(run: Run, lab: Lab, count: int, name: str = "decide") -> Stretch:
    decide = lab.start("decide")
    await decide.ready()
    told = await decide.done()
    with run.stretch(name, lab, decide) as decided:
        decided.end(await until_done([decide], count), count=count - told)
    decide.stop()
    return decided


SCENARIO = Scenario(
    name="singles",
    measures="R: requests for single users at random, caps checked, waiting in Kafka, one record each "
    "or a hundred in one: decide, then send by e-mail, each by one worker on one core",
    figures=(
        Figure(
            name="decide", measures="decided", unit="/s", better="higher",
            floor=6_000, goal=15_000,
        ),
        Figure(
            name="decide_batches", measures="decided, in batch records", unit="/s",
            better="higher", floor=20_000, goal=80_000,
        ),
        Figure(
            name="send", measures="sent", unit="/s", better="higher", floor=6_000, goal=15_000
        ),
        Figure(name="cpu_decide", measures="decide", unit="CPU s per million", better="lower"),
        Figure(
            name="cpu_batches", measures="decide, in batch records", unit="CPU s per million",
            better="lower",
        ),
        Figure(name="cpu_send", measures="email", unit="CPU s per million", better="lower"),
        Figure(
            name="kafka", measures="written to Kafka for a request, itself left out, one copy",
            unit="bytes", better="lower",
        ),
    ),
    run=_run,
    run_seconds=40,
)  # fmt: skip
