"""The simulator's `TailReader`: whole topics, read committed, their ends asked uncommitted."""

import asyncio
from collections.abc import Mapping, Sequence

from schemas.kafka import InboundRecord, TopicPartition
from tests.simulation.broker import Broker

_RECORDS_A_READ = 100


class MemoryTailReader:
    """Of one process; what it has read is gone with it."""

    def __init__(self, *, topics: Sequence[str], partitions: int, broker: Broker) -> None:
        self._places = [TopicPartition(t, p) for t in topics for p in range(partitions)]
        self._broker = broker
        self._positions = dict.fromkeys(self._places, 0)
        self._news = asyncio.Event()

    async def start(self) -> None:
        for place in self._places:
            self._broker.log(place).readers.append(self._news)
        self._news.set()

    async def ends(self) -> Mapping[TopicPartition, int]:
        await self._broker.round_trip()
        return {place: self._broker.log(place).end for place in self._places}

    def position(self, place: TopicPartition) -> int:
        return self._positions[place]

    async def read(self) -> Sequence[InboundRecord]:
        await self._news.wait()
        self._news.clear()
        await self._broker.round_trip()
        found: list[InboundRecord] = []
        for place, start in self._positions.items():
            records, position = self._broker.read_committed(place, start, _RECORDS_A_READ)
            self._positions[place] = position
            found += records
            if len(records) == _RECORDS_A_READ:
                self._news.set()
        return found

    async def close(self) -> None:
        """Nothing to let go of."""
