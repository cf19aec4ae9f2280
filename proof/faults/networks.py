"""A worker that Kafka cannot be reached from, though providers can: it goes on, and is a zombie."""

import contextlib
import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from proof.checker.verdict import Violation
from proof.faults import own_etc
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from proof.relay import Relay
from proof.workers import Slot
from streams.worker import EXIT_LOST

_NAME = "localhost"
"""Kafka's, to its clients; for each that is to be cut off it is another address."""
_SHORT_SECONDS, _LONG_SECONDS = (1.0, 4.0), (9.0, 12.0)
"""Below a session, and above: by then another has the partitions."""
_MOSTLY = 0.7


class CutOff(Fault):
    name = "cut-off"
    does = (
        "a worker reaches Kafka no more, mostly for longer than a session, and providers as ever; two "
        "slots a role"
    )
    expects = (
        "it calls nobody once its partitions may be another's, and ends when it hears of that; no write "
        "by the zombie, nothing sent twice; in doubt only what it had in hand, told"
    )
    kafka_host = _NAME
    least_blows = 3
    slots: ClassVar[Mapping[str, int]] = {"decide": 2, "email": 2, "push": 2}
    exits = (EXIT_LOST,)

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=75.0)

    def why_not(self) -> str:
        return "" if os.geteuid() == 0 else own_etc.ONLY_ROOT

    async def strike(self, field: Field) -> None:
        beyond = 0
        async with _relays(field, self.slots) as relays:
            while await field.wait(1.0, 3.0):
                slot = await field.victim(list(self.slots))
                if slot is None:
                    continue
                is_long = field.random.random() < _MOSTLY
                await field.stage.note_blow(slot.role, "cut off", slot)
                relays[slot].cut()
                try:
                    was_so_long = await field.wait(*(_LONG_SECONDS if is_long else _SHORT_SECONDS))
                    beyond += is_long and was_so_long
                finally:
                    relays[slot].mend()
        lost = sum(code == EXIT_LOST for _, code in field.exits)
        field.notes.append(f"{beyond} longer than a session, {lost} lost what they had")

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        if not any(code == EXIT_LOST for _, code in field.exits):
            yield Violation(PROMISE, "nobody was cut off for longer than a session")


@contextlib.asynccontextmanager
async def _relays(field: Field, roles: Collection[str]) -> AsyncIterator[Mapping[Slot, Relay]]:
    """One for each slot of these roles, whose workers are started anew to go by it, and are started
    once more when it is over."""
    slots = [slot for slot in field.stage.slots if slot.role in roles]
    port = int(field.stage.kafka.bootstrap.rpartition(":")[2])
    async with contextlib.AsyncExitStack() as open_ones:
        relays, prepared = {}, {}
        for number, slot in enumerate(slots, 1):
            host = f"127.77.0.{number}"
            relays[slot] = await open_ones.enter_async_context(Relay(host, port))
            prepared[slot] = partial(go_by, _etc(field, slot, host))
            field.workers.prepare(slot, prepared[slot])
        await _start_anew(field, slots)
        try:
            yield relays
        finally:
            # Who has lost its partitions ends by itself, and could not be stopped in order.
            await field.workers.until_members(slots)
            await field.workers.until_ready(slots)
            for slot in slots:
                field.workers.forget(slot, prepared[slot])
            await _start_anew(field, slots)


async def _start_anew(field: Field, slots: Collection[Slot]) -> None:
    for slot in slots:
        await field.workers.stop(slot)
        field.workers.start(slot)
    await field.workers.until_ready(list(slots))


def go_by(etc: Path) -> None:
    """In the process of a worker, before it begins."""
    own_etc.see(etc)
    _, _, port = os.environ["KAFKA_BOOTSTRAP"].rpartition(":")
    os.environ["KAFKA_BOOTSTRAP"] = f"{_NAME}:{port}"


def _etc(field: Field, slot: Slot, host: str) -> Path:
    etc = field.stage.folder / "etc" / str(slot)
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "hosts").write_text(f"{host} {_NAME}\n")
    return etc
