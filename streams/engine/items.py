"""`Taken`: an item as the engine handed it out, with what finishing it means."""

from dataclasses import dataclass
from typing import TypeVar

from agents.stage import Item
from schemas.kafka import InboundRecord

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Taken(Item[T]):
    """`record` is what was read and where, even when a forwarded one speaks for another origin; None
    for a due row, which is finished by deleting `row_key`."""

    record: InboundRecord | None = None
    row_value: bytes | None = None
