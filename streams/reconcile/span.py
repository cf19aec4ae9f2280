"""The time range that a reconciliation speaks of, as records."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from schemas.kafka import InboundRecord, TopicPartition
from streams.reading import Reader, inbound

_SKEW_MS = 60_000
"""Brokers' clocks differ: what follows from a cohort is read from so long before it begins."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `since_ms` to before `until_ms` by append time; without one, to the present end."""

    reader: Reader
    since_ms: int
    until_ms: int | None

    def holds(self, appended_ms: int) -> bool:
        return self.since_ms <= appended_ms and (
            self.until_ms is None or appended_ms < self.until_ms
        )

    async def cohort(self, place: TopicPartition) -> AsyncIterator[InboundRecord]:
        """Records appended in it."""
        start = (await self.reader.at([place], self.since_ms))[place]
        if self.until_ms is None:
            end = (await self.reader.ends([place]))[place]
        else:
            end = (await self.reader.at([place], self.until_ms))[place]
        async for chunk in self.reader.read(place, start, end):
            for record in chunk:
                yield inbound(place, record)

    async def following(
        self, topic: str, partitions: Collection[int]
    ) -> AsyncIterator[InboundRecord]:
        """Records that may follow from those appended in it: from its beginning until now."""
        places = [TopicPartition(topic, number) for number in partitions]
        starts = await self.reader.at(places, max(0, self.since_ms - _SKEW_MS))
        ends = await self.reader.ends(places)
        for place in places:
            async for chunk in self.reader.read(place, starts[place], ends[place]):
                for record in chunk:
                    yield inbound(place, record)
