"""The one abstraction to learn: a stage is an async generator of effects.

Every `yield` is a transaction: its rows, records and finished items become durable together
or not at all, and only then does the generator go on. What was read before a yield is stale
after it. A stage starts no task of its own, and no `yield` stands inside a timeout or a
`finally`. The same contract is driven by the runner on Kafka, by the simulator in memory,
and by a unit test that iterates the generator and looks at values.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from schemas.forwarding import Origin
from schemas.kafka import Headers, Record
from schemas.outcome import Outcome
from tables.state import Row, State

T = TypeVar("T")
CallT = TypeVar("CallT", bound="Call")


@dataclass(slots=True, eq=False)
class Item(Generic[T]):
    """One thing a batch asks for: a decoded record, or a row that has come due.

    `topic`/`partition`/`offset`/`appended_ms` are those of the record, `part` its place in a batch
    record (-1 for one that came alone); a forwarded record brings those of its origin. A due row has
    `row_key` instead and no offset.
    """

    value: T
    topic: str = ""
    partition: int = -1
    offset: int = -1
    appended_ms: int = 0
    headers: Headers = ()
    row_key: bytes | None = None
    part: int = -1

    @property
    def origin(self) -> Origin:
        return Origin(self.topic, self.partition, self.offset, self.appended_ms, self.part)

    def header(self, name: str) -> bytes | None:
        if not self.headers:
            return None
        return next((value for key, value in reversed(self.headers) if key == name), None)


@dataclass(slots=True)
class Effects:
    """What one yield changes, atomically.

    `done` names the items that this yield finishes: their source positions, or the deletion
    of their due rows, are part of the same transaction.
    """

    rows: Sequence[Row] = ()
    records: Sequence[Record] = ()
    done: Sequence[Item[Any]] = ()
    can_wait: bool = False
    """Nothing goes on with it: it may wait a moment for company, to share its transaction."""


class Call(Protocol):
    """One provider request that a stage wants made; `size` is how many outcomes it has."""

    @property
    def size(self) -> int: ...


class Batch(Protocol[T]):
    """Some items of one topic-partition (or due rows of one table), one instant, one state."""

    @property
    def items(self) -> Sequence[Item[T]]: ...

    @property
    def partition(self) -> int: ...

    @property
    def now_ms(self) -> int:
        """The one instant this batch is decided at, epoch milliseconds."""
        ...

    @property
    def known_ms(self) -> int:
        """Whatever was said of this partition's users before this instant is in `state`: it is
        behind `now_ms` where their changes still wait to be read, or cannot be fetched."""
        ...

    @property
    def state(self) -> State: ...

    @property
    def is_short(self) -> bool:
        """Something urgent shares the worker: a stage that chooses how much it does at a time
        should do little."""
        ...

    async def permit(self) -> None:
        """Wait until calls may begin, or the partition drains: to be awaited before a yield that
        intends some. What is intended and not called is in doubt when the process ends."""
        ...

    def exposing(self, recipients: int) -> AbstractAsyncContextManager[None]:
        """Around intents for so many at a time and what comes of them. Waits while that would be
        more, of this urgency, than the worker may leave in doubt when it dies."""
        ...

    def calls(
        self, calls: Sequence[CallT], send: Callable[[CallT], Awaitable[Sequence[Outcome]]]
    ) -> AsyncIterator[list[tuple[CallT, Sequence[Outcome]]]]:
        """Make provider calls; the runner owns them: it bounds, holds (lease), counts and ends them.

        Yields what has finished since the last turn, each call exactly once. While the
        partition drains, calls not started come back as `NotProcessed` (draining) and those
        cut off by the bound as `Unknown` (cut_off). `send` must not raise; if it does, the
        bug surfaces here after the open calls have ended.
        """
        ...


class Stage(Protocol[T]):
    """A plain class with its dependencies in the constructor."""

    name: str

    def handle(self, batch: Batch[T]) -> AsyncIterator[Effects]:
        """Finish every item of the batch: each must be `done` in some yield."""
        ...

    def give_up(self, batch: Batch[T], item: Item[T], cause: str) -> Effects:
        """What is owed when handling `item` alone raised: receipts, settled rows. Must not raise.

        The runner adds the dead letter and finishes the item in the same transaction. Of an item
        that holds many, only the culprit is to be given up: a stage that hands the others on (in
        halves, until the culprit is alone) names the item in `done`, and there is no dead letter.
        """
        ...
