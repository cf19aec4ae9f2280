"""`Reader`: committed records between two offsets, without a group."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.kafka import InboundRecord, TopicPartition
from streams.header_names import read_any_header_name
from streams.names import Names

Chunk = Sequence[ConsumerRecord[bytes, bytes]]

_FETCH_BYTES = 4 * 1024 * 1024
_READ_MS = 20
"""Where only the marker of a transaction is left, reading it returns nothing: look again soon."""


class Reader:
    """Reads one partition at a time; use it as `async with Reader(...)`.

    Ends are asked of a consumer that reads uncommitted: the other one takes the first open
    transaction for the end, and would silently leave out what was committed behind it.
    """

    def __init__(self, *, names: Names, connection: Mapping[str, Any]) -> None:
        read_any_header_name()  # of what anybody wrote
        self._names = names
        self._connection = connection

    async def __aenter__(self) -> Self:
        self._consumer = self._new_consumer("read_committed")
        self._asker = self._new_consumer("read_uncommitted")
        try:
            await self._consumer.start()
            await self._asker.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._asker.stop()

    async def know(self, topics: Collection[str]) -> None:
        """Learn where these are at once: asked one by one, each would cost a tenth of a second."""
        # The client of a consumer is not public, and it has no other way to be told.
        await self._asker._client.set_topics([self._names.physical(topic) for topic in topics])

    async def begins(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that retention has left of each."""
        found = await self._asker.beginning_offsets([self._kafka(place) for place in places])
        return {place: found[self._kafka(place)] for place in places}

    async def ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Behind the last record of each, open transactions included."""
        found = await self._asker.end_offsets([self._kafka(place) for place in places])
        return {place: found[self._kafka(place)] for place in places}

    async def at(
        self, places: Collection[TopicPartition], instant_ms: int
    ) -> dict[TopicPartition, int]:
        """The first record of each appended at the instant or later; where there is none, the end."""
        asked = {self._kafka(place): instant_ms for place in places}
        found = await self._asker.offsets_for_times(asked)
        ends = await self.ends([place for place in places if found[self._kafka(place)] is None])
        return {
            place: ends[place] if place in ends else found[self._kafka(place)].offset
            for place in places
        }

    async def read(self, place: TopicPartition, start: int, end: int) -> AsyncIterator[Chunk]:
        """Every committed record with start <= offset < end.

        Waits at an open transaction until it ends: the broker aborts a dead one within a minute.
        """
        if start >= end:
            return
        partition = self._kafka(place)
        self._consumer.assign([partition])
        self._consumer.seek(partition, start)
        # Trailing markers are no records: the position passes them, so it tells the end.
        while await self._consumer.position(partition) < end:
            chunks = await self._consumer.getmany(partition, timeout_ms=_READ_MS)
            records = chunks.get(partition, [])
            if records and records[-1].offset >= end:
                records = [record for record in records if record.offset < end]
            if records:
                yield records

    def _kafka(self, place: TopicPartition) -> KafkaPartition:
        return KafkaPartition(self._names.physical(place.topic), place.partition)

    def _new_consumer(self, isolation: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._connection,
            enable_auto_commit=False,
            # What retention takes away while we read is passed over.
            auto_offset_reset="earliest",
            isolation_level=isolation,
            max_partition_fetch_bytes=_FETCH_BYTES,
            # A partition is read once the last fetch of the one before has come back.
            fetch_max_wait_ms=10,
            check_crcs=False,
        )


def inbound(place: TopicPartition, record: ConsumerRecord[bytes, bytes]) -> InboundRecord:
    """The record under its topic's logical name."""
    headers = tuple((name, value or b"") for name, value in record.headers)
    return InboundRecord(*place, record.offset, record.timestamp, record.key, record.value, headers)
