"""What Postrider's receipts say of deliveries that nobody knows whether they were sent."""

import contextlib
from collections.abc import AsyncIterator

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.whole.lab import PARTITIONS, Lab
from schemas import topics

_POLL_MS = 1000
_NOT_OVER = ("queued", "deferred")


class _Told(msgspec.Struct):
    """Of a receipt, what is looked at."""

    user_id: str
    status: str
    is_final: bool = False


_decode = msgspec.json.Decoder(_Told).decode


class Doubts:
    """Reads on from where it was."""

    def __init__(self, consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> None:
        self._consumer = consumer
        self._places = places
        self.left: set[str] = set()
        """Users whose delivery ended in doubt."""
        self.resending: set[str] = set()
        """Users whose delivery is in doubt and will be sent again."""

    async def look(self) -> None:
        ends = await self._consumer.end_offsets(self._places)
        while any([await self._consumer.position(place) < end for place, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=_POLL_MS)).values():
                for each in records:
                    self._take(_decode(each.value))

    def _take(self, told: _Told) -> None:
        if told.status in _NOT_OVER:
            return
        if told.status == "in_doubt" and not told.is_final:
            self.resending.add(told.user_id)
            return
        self.resending.discard(told.user_id)
        if told.status == "in_doubt":
            self.left.add(told.user_id)


@contextlib.asynccontextmanager
async def reading(lab: Lab) -> AsyncIterator[Doubts]:
    """From the beginning of all receipts that are committed."""
    consumer = AIOKafkaConsumer(
        **lab.config.kafka.connection(), isolation_level="read_committed"
    )  # fmt: skip
    name = lab.config.kafka.names.physical(topics.RECEIPTS)
    places = [TopicPartition(name, each) for each in range(PARTITIONS)]
    async with consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        yield Doubts(consumer, places)
