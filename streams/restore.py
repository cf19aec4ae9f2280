"""Reading a changelog to its end: what Faust's own recovery does a hundred times slower, and never
ends when the last record is a transaction marker."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.kafka import TopicPartition
from streams.asking import look_up
from streams.committed import CommittedRecord
from streams.fetching import PartitionFetcher
from streams.names import Names
from streams.patience import Patience
from streams.refusals import OnceAMinute

Bounds = Mapping[TopicPartition, tuple[int, int]]
Sink = Callable[[Iterable[CommittedRecord], int], None]
"""Committed records, to be gone through once, and the offset up to which they are all that there is."""

log = logging.getLogger("postrider.stores")

_READS_AT_ONCE = 8
"""Each may hold a fetch and the rows decoded from it: what a take-over of many partitions costs."""
_STUCK_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.2


class ChangelogReader:
    """Reads committed records of single partitions, by offsets, without a group."""

    def __init__(self, *, names: Names, connection: Mapping[str, Any], patience: Patience) -> None:
        self._names = names
        self._connection = connection
        self._patience = patience
        self._turns = asyncio.Semaphore(_READS_AT_ONCE)
        self._known: dict[TopicPartition, int] = {}
        """Offsets of what was certainly appended."""
        self._voice = OnceAMinute()

    async def bounds(self, places: Collection[TopicPartition]) -> Bounds:
        """First offset held and high watermark of each; (0, 0) for an empty one. Waits for a leader that
        knows of all that `must_reach` has told."""
        kafka_places = {self._kafka(place): place for place in places}
        asked, wait_for = list(kafka_places), self._patience.wait_for
        consumer = AIOKafkaConsumer(
            **self._connection, enable_auto_commit=False, isolation_level="read_uncommitted"
        )
        try:
            await wait_for(consumer.start)
            look_up(consumer, asked)
            begins = await wait_for(partial(consumer.beginning_offsets, asked))
            ends = await wait_for(partial(consumer.end_offsets, asked))
            while any(ends[key] <= self._known.get(kafka_places[key], -1) for key in asked):
                await self._look_for_leaders(consumer._client)
                ends = await wait_for(partial(consumer.end_offsets, asked))
        finally:
            await consumer.stop()
        return {place: (begins[key], ends[key]) for key, place in kafka_places.items()}

    def must_reach(self, place: TopicPartition, offset: int) -> None:
        """It is known that something was appended there: who tells of an end before it leads the
        place no more, as a broker that hung, and has yet to hear that another does."""
        self._known[place] = offset

    async def read(
        self, place: TopicPartition, start: int, end: int, sink: Sink, *, known: int = -1
    ) -> None:
        """Hand every committed record with start <= offset < end to `sink`, in chunks: a chunk without
        records tells of markers and the like, and the last one goes up to `end`. `known` is an offset
        that was certainly appended: who says otherwise leads the place no more.

        Waits at an open transaction until it ends. In a changelog there is none, since its only
        writer was just fenced: where the broker has lost the end of one (KAFKA-20734), what lies
        behind it counts as soon as the next one ends, and must not be left out.

        Raises `OffsetOutOfRangeError` where the changelog does not go back to `start` (any more):
        skipping rows would be running on partial state.
        """
        if start >= end:
            return
        async with self._turns:
            client = AIOKafkaClient(**self._connection)
            try:
                await self._patience.wait_for(client.bootstrap)
                await self._read(client, place, start, end, sink, known)
            finally:
                await client.close()

    async def is_committed(self, place: TopicPartition, offset: int) -> bool:
        """Whether the record there, which was certainly appended, counts; waits until that is decided of
        all before it, too."""
        found: list[CommittedRecord] = []
        await self.read(place, offset, offset + 1, lambda some, _: found.extend(some), known=offset)
        return bool(found)

    async def _read(
        self,
        client: AIOKafkaClient,
        place: TopicPartition,
        start: int,
        end: int,
        sink: Sink,
        known: int,
    ) -> None:
        fetcher = PartitionFetcher(client, self._kafka(place))
        position, moved_at = start, time.monotonic()
        # Trailing markers are no records: the position passes them, so it tells the end.
        while position < end:
            try:
                fetched = await self._patience.wait_for(partial(fetcher.fetch, position))
            except OffsetOutOfRangeError:
                begin, end_now = (await self.bounds([place]))[place]
                if not begin <= position <= max(end_now, known):
                    raise
                await self._look_for_leaders(client)
                continue
            now = time.monotonic()
            if fetched.next_position > position:
                position, moved_at = fetched.next_position, now
                sink(fetched.records(end), min(position, end) - 1)
            elif now - moved_at > _STUCK_SECONDS:
                moved_at = now
                log.error(
                    "a reader waits at a transaction that nobody ends",
                    extra={"topic": fetcher.partition.topic,
                           "partition": fetcher.partition.partition, "offset": position},
                )  # fmt: skip
            await asyncio.sleep(0)  # other partitions restore, and heartbeats go on

    async def _look_for_leaders(self, client: AIOKafkaClient) -> None:
        if self._voice.may_tell():
            log.warning("a broker answers for what it leads no more")
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        await client.force_metadata_update()

    def _kafka(self, place: TopicPartition) -> KafkaPartition:
        return KafkaPartition(self._names.physical(place.topic), place.partition)
