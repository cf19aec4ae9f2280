"""The simulator's `TailReader`: whole topics, read committed, their ends asked uncommitted."""

from collections.abc import Mapping, Sequence

from schemas.kafka import InboundRecord, TopicPartition
from tests.simulation.broker import Broker, Reader
from tests.simulation.loop import pause

_RECORDS_A_READ = 100


class MemoryTailReader:
    """Of one process; what it has read is gone with it."""

    def __init__(
        self, *, topics: Sequence[str], partitions: int, broker: Broker, delay_seconds: float = 0.0
    ) -> None:
        self._delay_seconds = delay_seconds
        self._places = [TopicPartition(t, p) for t in topics for p in range(partitions)]
        self._broker = broker
        self._reader: Reader | None = None

    async def start(self) -> None:
        self._reader = Reader(self._broker)
        self._reader.follow((place, 0) for place in self._places)

    async def ends(self) -> Mapping[TopicPartition, int]:
        """At once, where nothing has come since the last read: most of the time nothing has."""
        assert self._reader is not None, "asked before start"
        if self._reader.has_news:
            await self._broker.round_trip()
        return {place: self._broker.log(place).end for place in self._places}

    def position(self, place: TopicPartition) -> int:
        return self._reader.positions[place] if self._reader else 0

    async def read(self) -> Sequence[InboundRecord]:
        assert self._reader is not None, "read before start"
        if self._delay_seconds:
            await pause(self._delay_seconds)
        read = await self._reader.read(_RECORDS_A_READ)
        return [record for _, records, _ in read for record in records]

    async def close(self) -> None:
        """Nothing to let go of."""
