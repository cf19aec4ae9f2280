"""`KafkaTailReader`: whole topics from the beginning of what is retained, without a group."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.kafka import InboundRecord, TopicPartition
from streams.asking import look_up
from streams.engine.gaps import read_on
from streams.names import Names
from streams.patience import Patience

_READ_MS = 200


class KafkaTailReader:
    """A `TailReader`. A second consumer asks for ends, since the first sees committed records only
    and would take the last stable offset for the end."""

    def __init__(
        self,
        *,
        topics: Sequence[str],
        partitions: int,
        names: Names,
        connection: Mapping[str, Any],
        patience: Patience,
        on_lost: Callable[[TopicPartition, int, int], None],
    ) -> None:
        """`on_lost` is told what retention removed before it was read: from where, and to where."""
        self._places = [
            KafkaPartition(names.physical(topic), partition)
            for topic in topics
            for partition in range(partitions)
        ]
        self._names = names
        self._connection = connection
        self._patience = patience
        self._on_lost = on_lost
        self._positions: dict[TopicPartition, int] = {}
        self._opened: list[AIOKafkaConsumer] = []

    async def start(self) -> None:
        self._consumer = await self._open("read_committed")
        self._asker = await self._open("read_uncommitted")
        look_up(self._asker, self._places)
        self._consumer.assign(self._places)
        await self._consumer.seek_to_beginning(*self._places)

    async def ends(self) -> Mapping[TopicPartition, int]:
        # A broker that is away is waited out: the tail grows stale, which holds all calls. Ending
        # the process would put those in doubt whose answers are still to come.
        ends = await self._patience.wait_for(partial(self._asker.end_offsets, self._places))
        return {self._logical(place): end for place, end in ends.items()}

    def position(self, place: TopicPartition) -> int:
        return self._positions.get(place, 0)

    async def read(self) -> Sequence[InboundRecord]:
        # What the last call returned has been taken in by now: only that counts as read. Trailing
        # markers move a position too, without a record.
        for place in self._places:
            self._positions[self._logical(place)] = await self._consumer.position(place)
        try:
            chunks = await self._consumer.getmany(timeout_ms=_READ_MS)
        except OffsetOutOfRangeError as error:
            await self._read_on(error.args[0])
            return []
        found = []
        for place, records in chunks.items():
            logical = self._logical(place)
            for record in records:
                headers = tuple((name, value or b"") for name, value in record.headers)
                found.append(
                    InboundRecord(
                        *logical, record.offset, record.timestamp, record.key, record.value, headers
                    )
                )
        return found

    async def _read_on(self, refused: Mapping[KafkaPartition, int]) -> None:
        places = list(refused)
        begins = await self._patience.wait_for(partial(self._asker.beginning_offsets, places))
        ends = await self._patience.wait_for(partial(self._asker.end_offsets, places))
        for place, offset in refused.items():
            begin = read_on(self._logical(place), offset, (begins[place], ends[place]))
            if begin > offset:
                self._on_lost(self._logical(place), offset, begin)
            self._consumer.seek(place, begin)

    async def close(self) -> None:
        for consumer in self._opened:
            await consumer.stop()

    def _logical(self, place: KafkaPartition) -> TopicPartition:
        return TopicPartition(self._names.logical(place.topic), place.partition)

    async def _open(self, isolation: str) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **self._connection,
            enable_auto_commit=False,
            auto_offset_reset="none",  # it would pass over what retention removed, and tell nobody
            isolation_level=isolation,
            fetch_max_wait_ms=100,
        )
        self._opened.append(consumer)
        await self._patience.wait_for(consumer.start)
        return consumer
