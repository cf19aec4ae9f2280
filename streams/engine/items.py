"""`Taken`: an item as the engine handed it out, with what finishing it means."""

from dataclasses import dataclass
from typing import TypeVar

from agents.stage import Item
from schemas.kafka import InboundRecord, TopicPartition

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Taken(Item[T]):
    """`source`, `source_offset` and `source_part` are where it was read, even when a forwarded record
    speaks for another origin; None for a due row, which is finished by deleting `row_key`."""

    source: TopicPartition | None = None
    source_offset: int = -1
    source_part: int = -1
    record: InboundRecord | None = None
    row_value: bytes | None = None
