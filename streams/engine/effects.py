"""Checks of a yield's size, made while the generator still stands at it.

A record that Kafka would refuse must raise in the stage, where one item can be given up;
raised by the producer it would end the process, again and again.
"""

from collections.abc import Sequence

from agents.stage import Effects
from schemas.kafka import Record
from tables.state import Row

MAX_RECORD_BYTES = 900_000
"""Below the broker's and the producer's 1 MiB with room for headers and framing."""
MAX_YIELD_BYTES = 8 * 1024 * 1024
"""A yield is one transaction's least content; more than this is a stage that forgot to slice."""
MAX_GROUP_BYTES = 1024 * 1024
"""A group commit takes further yields up to this; one larger yield travels alone."""

_ROW_OVERHEAD_BYTES = 12
_RECORD_OVERHEAD_BYTES = 24


class EffectsTooLarge(ValueError):
    """Raised when a yield holds a row or record that Kafka would refuse, or too many of them."""


def size_of(effects: Effects) -> int:
    """Bytes of a yield; raises `EffectsTooLarge`."""
    size = _rows_size(effects.rows) + _records_size(effects.records)
    if size > MAX_YIELD_BYTES:
        raise EffectsTooLarge(f"a yield of {size} bytes, the limit is {MAX_YIELD_BYTES}")
    return size


def _rows_size(rows: Sequence[Row]) -> int:
    sizes = [len(row.key) + len(row.value or b"") for row in rows]
    largest = max(sizes, default=0) + _ROW_OVERHEAD_BYTES
    if largest > MAX_RECORD_BYTES:
        raise EffectsTooLarge(f"a row of {largest} bytes, the limit is {MAX_RECORD_BYTES}")
    return sum(sizes) + len(sizes) * _ROW_OVERHEAD_BYTES


def _records_size(records: Sequence[Record]) -> int:
    total = 0
    for record in records:
        size = _RECORD_OVERHEAD_BYTES
        if record.value is not None:
            size += len(record.value)
        if record.key is not None:
            size += len(record.key)
        for name, text in record.headers:
            size += len(name) + len(text)
        if size > MAX_RECORD_BYTES:
            raise EffectsTooLarge(
                f"a record of {size} bytes for {record.topic}, the limit is {MAX_RECORD_BYTES}"
            )
        total += size
    return total
