"""A tail: some topics read whole, all partitions, into memory, and whether it is at their end.

Senders tail what can stop a delivery. A tail that has not reached the end for some seconds
holds every provider call back: sending past an opt-out that nobody has read yet is worse than
waiting. The end is the high watermark, which lies behind the last stable offset while some
dead worker's transaction is open: such a transaction holds calls back instead of hiding a stop.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from schemas.kafka import InboundRecord, TopicPartition

_TURN_SECONDS = 0.003
"""A week of stops may take a second to take in: meanwhile the group is joined and owners are fenced."""

Feed = Callable[[InboundRecord], None]


class TailReader(Protocol):
    """A read-committed consumer of whole topics, without a group."""

    async def start(self) -> None: ...

    async def ends(self) -> Mapping[TopicPartition, int]:
        """High watermarks, asked now."""
        ...

    def position(self, place: TopicPartition) -> int:
        """The next offset that a read will look at."""
        ...

    async def read(self) -> Sequence[InboundRecord]:
        """What has come since; returns after a moment even when nothing has."""
        ...

    async def close(self) -> None: ...


class Tails:
    """Follows topics into `feed` until closed; `is_fresh` is part of the right to call."""

    def __init__(
        self,
        *,
        reader: TailReader,
        feed: Feed,
        now_seconds: Callable[[], float],
        max_age_seconds: float,
        ask_seconds: float = 0.5,
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._now_seconds = now_seconds
        self._max_age_seconds = max_age_seconds
        self._ask_seconds = ask_seconds
        self._at_end_at: float | None = None
        self._first_end = asyncio.Event()
        self._fresh = asyncio.Event()
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, die: Callable[[BaseException], None]) -> None:
        """Begin to follow; an error later ends the process, since stops would be missed."""
        await self._reader.start()
        for work in (self._follow, self._measure):
            task = asyncio.create_task(work())
            task.add_done_callback(lambda task: _report(task, die))
            self._tasks.append(task)

    async def catch_up(self) -> None:
        """Return once every tail has been at its end: nothing may be sent before."""
        await self._first_end.wait()

    def is_fresh(self) -> bool:
        """Whether the end was reached as of a moment young enough."""
        return (
            self._at_end_at is not None
            and self._now_seconds() - self._at_end_at < self._max_age_seconds
        )

    async def wait_until_fresh(self) -> None:
        while not self.is_fresh():
            await self._fresh.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._reader.close()

    async def _follow(self) -> None:
        while True:
            records = await self._reader.read()
            turn_ends = self._now_seconds() + _TURN_SECONDS
            for record in records:
                self._feed(record)
                if (now := self._now_seconds()) > turn_ends:
                    turn_ends = now + _TURN_SECONDS
                    await asyncio.sleep(0)
            self._moved.set()
            self._moved.clear()

    async def _measure(self) -> None:
        while True:
            asked_at = self._now_seconds()
            ends = await self._reader.ends()
            await self._until_past(ends)
            self._at_end_at = asked_at
            self._first_end.set()
            self._fresh.set()
            self._fresh.clear()
            await asyncio.sleep(self._ask_seconds)

    async def _until_past(self, ends: Mapping[TopicPartition, int]) -> None:
        behind: Collection[TopicPartition] = list(ends)
        while behind := [place for place in behind if self._reader.position(place) < ends[place]]:
            await self._moved.wait()
            await self._reader.ends()  # or nobody would say that Kafka went away meanwhile


def _report(task: asyncio.Task[None], die: Callable[[BaseException], None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        die(error)
