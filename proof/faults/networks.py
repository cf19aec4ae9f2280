"""A worker that Kafka cannot be reached from, or one broker of it, though providers can: it goes on."""

import contextlib
import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from proof.checker.verdict import Violation
from proof.faults import own_etc
from proof.faults.base import PROMISE, Fault, Field
from proof.faults.clusters import AS_RUN
from proof.load.plan import LoadPlan
from proof.relay import Relay
from proof.workers import Slot
from streams.worker import EXIT_LOST

_NAME = "localhost"
"""Kafka's, to its clients; for each that is to be cut off it is another address."""
_SHORT_SECONDS, _LONG_SECONDS = (1.0, 4.0), (9.0, 12.0)
"""Below a session, and above: by then another has the partitions."""
_MOSTLY = 0.7
_FROM_ONE_SECONDS = ((3.0, 8.0), (25.0, 35.0))
"""Likewise, below the product's own session and above it."""


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
                (relay,) = relays[slot]
                relay.cut()
                try:
                    was_so_long = await field.wait(*(_LONG_SECONDS if is_long else _SHORT_SECONDS))
                    beyond += is_long and was_so_long
                finally:
                    relay.mend()
        lost = sum(code == EXIT_LOST for _, code in field.exits)
        field.notes.append(f"{beyond} longer than a session, {lost} lost what they had")

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        if not any(code == EXIT_LOST for _, code in field.exits):
            yield Violation(PROMISE, "nobody was cut off for longer than a session")


class CutOffFromOne(Fault):
    name = "cut-off-from-one"
    does = (
        "a worker reaches one of three brokers no more, for 3 to 8 or for 25 to 35 seconds, and the "
        "others as ever; two slots a role"
    )
    expects = (
        "what it cannot write waits; where that broker coordinates its group it loses its partitions, "
        "as by cut-off"
    )
    has_cluster = True
    kafka_host = _NAME
    least_blows = 2
    slots = CutOff.slots
    settings = AS_RUN
    exits = (EXIT_LOST,)
    stop_ms = 15_000

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=100.0)

    def why_not(self) -> str:
        return "" if os.geteuid() == 0 else own_etc.ONLY_ROOT

    async def strike(self, field: Field) -> None:
        async with _relays(field, self.slots) as relays:
            while await field.wait(1.0, 3.0):
                slot = await field.victim(list(self.slots))
                if slot is None:
                    continue
                await field.stage.note_blow(slot.role, "cut off", slot)
                relay = field.random.choice(relays[slot])
                relay.cut()
                try:
                    await field.wait(*field.random.choice(_FROM_ONE_SECONDS))
                finally:
                    relay.mend()
        lost = sum(code == EXIT_LOST for _, code in field.exits)
        field.notes.append(f"{lost} of {len(field.blows)} lost what they had")


@contextlib.asynccontextmanager
async def _relays(
    field: Field, roles: Collection[str]
) -> AsyncIterator[Mapping[Slot, Sequence[Relay]]]:
    """To each broker one, for each slot of these roles, whose workers are started anew to go by them,
    and are started once more when it is over."""
    slots = [slot for slot in field.stage.slots if slot.role in roles]
    ports = [int(each.rpartition(":")[2]) for each in field.stage.kafka.bootstrap.split(",")]
    async with contextlib.AsyncExitStack() as open_ones:
        relays, prepared = {}, {}
        for number, slot in enumerate(slots, 1):
            host = f"127.77.0.{number}"
            relays[slot] = [
                await open_ones.enter_async_context(Relay(host, port)) for port in ports
            ]
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
    ports = [each.rpartition(":")[2] for each in os.environ["KAFKA_BOOTSTRAP"].split(",")]
    os.environ["KAFKA_BOOTSTRAP"] = ",".join(f"{_NAME}:{port}" for port in ports)


def _etc(field: Field, slot: Slot, host: str) -> Path:
    etc = field.stage.folder / "etc" / str(slot)
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "hosts").write_text(f"{host} {_NAME}\n")
    return etc
