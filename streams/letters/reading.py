"""Dead letters as they lie on their topic, found by time, stage and cause."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.dead_letter import DeadLetter, decode_dead_letter
from schemas.kafka import TopicPartition
from schemas.topics import DEAD_LETTERS
from streams.names import Names
from streams.reading import Reader


class Coordinate(NamedTuple):
    """Where a dead letter is: what `list` prints and `show` and `replay` take."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def read(cls, text: str) -> "Coordinate":
        """Raises ValueError for anything but `PARTITION:OFFSET`."""
        partition, colon, offset = text.partition(":")
        if not (colon and partition.isdecimal() and offset.isdecimal()):
            raise ValueError("not a coordinate of `dlq list`, such as 3:1742")
        return cls(int(partition), int(offset))


class Found(NamedTuple):
    """One dead letter; `appended_ms` is when it was put there."""

    at: Coordinate
    appended_ms: int
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; what is not said selects all."""

    since_ms: int | None = None
    until_ms: int | None = None
    stage: str | None = None
    cause: str | None = None
    coordinates: Collection[Coordinate] = ()

    def has(self, found: Found) -> bool:
        return (
            (self.since_ms is None or found.appended_ms >= self.since_ms)
            and (self.until_ms is None or found.appended_ms < self.until_ms)
            and self.stage in (None, found.letter.stage)
            and self.cause in (None, found.letter.cause)
            and (not self.coordinates or found.at in self.coordinates)
        )


class Letters:
    """What is on the topic up to the moment it was opened; use it as `async with opened(...)`.

    What a replay makes fail again comes behind that moment, so a replay ends.
    """

    def __init__(self, reader: Reader, ends: Mapping[TopicPartition, int]) -> None:
        self._reader = reader
        self._ends = ends

    async def select(self, selection: Selection) -> AsyncIterator[Found]:
        """By partition and offset of each; may be called again."""
        since_ms = selection.since_ms
        if since_ms is None:
            starts = await self._reader.begins(self._ends)
        else:
            starts = await self._reader.at(self._ends, since_ms)
        for place, end in self._ends.items():
            async for chunk in self._reader.read(place, starts[place], end):
                for record in chunk:
                    found = _found(record)
                    if selection.has(found):
                        yield found

    async def get(self, at: Coordinate) -> Found | None:
        """The letter at a coordinate; None where there is none, or none any more."""
        place = TopicPartition(DEAD_LETTERS, at.partition)
        if not (await self._begin(place)) <= at.offset < self._ends.get(place, 0):
            return None
        async for chunk in self._reader.read(place, at.offset, at.offset + 1):
            return _found(chunk[0])
        return None

    async def _begin(self, place: TopicPartition) -> int:
        return (await self._reader.begins([place]))[place] if place in self._ends else 0


@asynccontextmanager
async def opened(
    connection: Mapping[str, Any], *, names: Names, partitions: int
) -> AsyncIterator[Letters]:
    """The letters of an installation."""
    async with Reader(names=names, connection=connection) as reader:
        places = [TopicPartition(DEAD_LETTERS, number) for number in range(partitions)]
        yield Letters(reader, await reader.ends(places))


def _found(record: Any) -> Found:
    at = Coordinate(record.partition, record.offset)
    return Found(at, record.timestamp, decode_dead_letter(record.value))
