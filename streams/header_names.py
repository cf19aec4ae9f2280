"""Reads records whose header names are no UTF-8: a producer in C may write any bytes there.

aiokafka 0.14.0 raises in the middle of a fetch then, and at each fetch again: one such record would
end every worker that meets it, for ever. `tests/integration/streams/test_header_names.py` fails
when an upgrade makes this wrong or needless.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH = slice(8, 12)
_BEFORE_LENGTH_BYTES = 12


def read_any_header_name() -> None:
    """From now on a byte that is no UTF-8 is read as `\\xff`, four characters, by every consumer."""
    fetcher.MemoryRecords = _Records


class _Records:
    """What one fetch brought of a partition: batches, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._left = memoryview(data)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def next_batch(self) -> "_Batch":
        size = _BEFORE_LENGTH_BYTES + int.from_bytes(self._left[_LENGTH], "big")
        data, self._left = self._left[:size], self._left[size:]
        return _Batch(self._records.next_batch(), data)


class _Batch:
    """aiokafka's batch, read once more where it raises; the fetcher skips what it has had."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._batch
        except UnicodeDecodeError:
            again: Any = iter(_DefaultRecordBatchPy(self._data))
            again._buffer = _AnyText(again._buffer)
            yield from again


class _AnyText(bytearray):
    """Decodes whatever it holds; the parser in Python decodes nothing but header names."""

    def __getitem__(self, at: Any) -> Any:
        part: Any = super().__getitem__(at)
        return _AnyText(part) if isinstance(at, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "") -> str:
        return super().decode(encoding, "backslashreplace")
