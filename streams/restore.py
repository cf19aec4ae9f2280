"""Reading a changelog to its end: what Faust's own recovery does a hundred times slower, and never
ends when the last record is a transaction marker."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.kafka import TopicPartition
from streams.asking import look_up
from streams.names import Names
from streams.patience import Patience

Bounds = Mapping[TopicPartition, tuple[int, int]]
Sink = Callable[[Sequence[ConsumerRecord[bytes, bytes]]], None]

log = logging.getLogger("postrider.stores")

_FETCH_BYTES = 4 * 1024 * 1024
_READS_AT_ONCE = 8
"""Each may hold a fetch and the rows decoded from it: what a take-over of many partitions costs."""
_LOOK_MS = 20
"""A changelog ends with a marker, as a rule, and that is no record: who waits for one does so in vain,
and only the position tells that it was passed."""
_STUCK_SECONDS = 60.0


class ChangelogReader:
    """Reads committed records of single partitions, by offsets, without a group."""

    def __init__(self, *, names: Names, connection: Mapping[str, Any], patience: Patience) -> None:
        self._names = names
        self._connection = connection
        self._patience = patience
        self._turns = asyncio.Semaphore(_READS_AT_ONCE)

    async def bounds(self, places: Collection[TopicPartition]) -> Bounds:
        """First offset held and high watermark of each; (0, 0) for an empty one."""
        kafka_places = {self._kafka(place): place for place in places}
        asked, wait_for = list(kafka_places), self._patience.wait_for
        consumer = self._consumer("read_uncommitted")
        try:
            await wait_for(consumer.start)
            look_up(consumer, asked)
            begins = await wait_for(partial(consumer.beginning_offsets, asked))
            ends = await wait_for(partial(consumer.end_offsets, asked))
        finally:
            await consumer.stop()
        return {place: (begins[key], ends[key]) for key, place in kafka_places.items()}

    async def read(self, place: TopicPartition, start: int, end: int, sink: Sink) -> None:
        """Hand every committed record with start <= offset < end to `sink`, in chunks.

        Waits at an open transaction until it ends. In a changelog there is none, since its only
        writer was just fenced: where the broker has lost the end of one (KAFKA-20734), what lies
        behind it counts as soon as the next one ends, and must not be left out.
        """
        if start >= end:
            return  # and a consumer of aiokafka that is stopped as soon as it started cannot be
        async with self._turns:
            consumer = self._consumer("read_committed")
            try:
                await self._patience.wait_for(consumer.start)
                await self._read(consumer, self._kafka(place), start, end, sink)
            finally:
                await consumer.stop()

    async def _read(
        self,
        consumer: AIOKafkaConsumer,
        partition: KafkaPartition,
        start: int,
        end: int,
        sink: Sink,
    ) -> None:
        consumer.assign([partition])
        consumer.seek(partition, start)
        moved_at, reached = time.monotonic(), start
        # Trailing markers are no records: the position passes them, so it tells the end.
        while (position := await consumer.position(partition)) < end:
            now = time.monotonic()
            if position > reached:
                moved_at, reached = now, position
            elif now - moved_at > _STUCK_SECONDS:
                moved_at = now
                log.error(
                    "changelog waits at a transaction that nobody ends",
                    extra={"topic": partition.topic, "partition": partition.partition,
                           "offset": position},
                )  # fmt: skip
            chunks = await consumer.getmany(partition, timeout_ms=_LOOK_MS)
            records = [record for record in chunks.get(partition, ()) if record.offset < end]
            if records:
                sink(records)
            await asyncio.sleep(0)  # other partitions restore, and heartbeats go on

    def _kafka(self, place: TopicPartition) -> KafkaPartition:
        return KafkaPartition(self._names.physical(place.topic), place.partition)

    def _consumer(self, isolation: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._connection,
            enable_auto_commit=False,
            # An offset that is gone must raise: skipping rows would be running on partial state.
            auto_offset_reset="none",
            isolation_level=isolation,
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=8 * _FETCH_BYTES,
            fetch_max_wait_ms=100,
            check_crcs=False,
        )
