"""A batch without a runner, and the loop that a runner makes of a stage's yields."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from agents.stage import CallT, Effects, Item, Stage
from schemas.kafka import Record
from schemas.outcome import NotProcessed, Outcome
from tables.state import Kind, Row
from tests.doubles.state import MemoryState

T = TypeVar("T")


@dataclass(slots=True)
class BatchOf(Generic[T]):
    """`agents.stage.Batch` over a `MemoryState`; calls are made one after another."""

    items: Sequence[Item[T]]
    now_ms: int
    state: MemoryState
    is_draining: bool = False
    is_short: bool = False
    may_call: asyncio.Event = field(default_factory=asyncio.Event)
    exposed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_call.set()

    @property
    def known_ms(self) -> int:
        """Nothing waits to be read."""
        return self.now_ms

    @property
    def partition(self) -> int:
        return self.state.partition

    async def permit(self) -> None:
        await self.may_call.wait()

    @asynccontextmanager
    async def exposing(self, recipients: int) -> AsyncIterator[None]:
        self.exposed.append(recipients)
        yield

    async def calls(
        self, calls: Sequence[CallT], send: Callable[[CallT], Awaitable[Sequence[Outcome]]]
    ) -> AsyncIterator[list[tuple[CallT, Sequence[Outcome]]]]:
        for call in calls:
            if self.is_draining:
                draining = NotProcessed(reason="draining")
                yield [(call, [draining] * call.size)]
            else:
                yield [(call, await send(call))]


@dataclass(slots=True)
class Driven:
    """What a stage yielded, in order."""

    effects: list[Effects] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        return [row for effects in self.effects for row in effects.rows]

    @property
    def records(self) -> list[Record]:
        return [record for effects in self.effects for record in effects.records]

    def records_of(self, topic: str) -> list[Record]:
        return [record for record in self.records if record.topic == topic]


def apply(state: MemoryState, effects: Effects) -> None:
    """One transaction: finished due rows are deleted first, since a turn may put its row back."""
    state.apply(Row(Kind.DURABLE, item.row_key, None) for item in effects.done if item.row_key)
    state.apply(effects.rows)


async def drive(stage: Stage[T], batch: BatchOf[T], *, stop_after: int | None = None) -> Driven:
    """Run `stage` over `batch` as the runner does, applying each yield before going on.

    Fails when an item was finished twice or not at all. `stop_after` ends like a crash after
    that many yields: nothing more is applied.
    """
    driven = Driven()
    done: list[Item[Any]] = []
    generator = stage.handle(batch)
    async for effects in generator:
        apply(batch.state, effects)
        driven.effects.append(effects)
        done.extend(effects.done)
        if len(driven.effects) == stop_after:
            await generator.aclose()  # type: ignore[attr-defined]  # a stage's handle is a generator
            return driven
    assert sorted(map(id, done)) == sorted(map(id, batch.items)), "each item is done exactly once"
    return driven
