"""What a lookup has stored, read beside it: another process may be writing meanwhile."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.lookup.run import store_path
from tables.packing import RowList
from tables.store import LocalStore, StoreBudget

_CACHE_BYTES = 8 * 1024 * 1024


class Stored:
    """One partition's rows, a `RowStore`. What is applied is seen here only, and not kept."""

    def __init__(self, store: LocalStore | None) -> None:
        """Without a store it is empty."""
        self._store = store
        self._changes: dict[bytes, bytes] = {}

    @property
    def offset(self) -> int | None:
        """That of the last receipt folded in by the lookup."""
        return self._store.offset if self._store is not None else None

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        known = [None] * len(keys) if self._store is None else self._store.get_many(keys)
        return [self._changes.get(key, value) for key, value in zip(keys, known, strict=True)]

    def scan(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        found = {} if self._store is None else dict(self._store.scan(start, end, limit))
        found |= {key: value for key, value in self._changes.items() if start <= key < end}
        return sorted(found.items())[:limit]

    def apply(self, rows: RowList, offset: int) -> None:
        self._changes.update((key, value) for key, value in rows if value is not None)


@contextmanager
def stored(data_dir: Path, partition: int) -> Iterator[Stored]:
    """The rows as of now; empty when no lookup ever had the partition."""
    path = store_path(data_dir, partition)
    if not (path / "CURRENT").exists():
        yield Stored(None)
        return
    budget = StoreBudget(cache_bytes=_CACHE_BYTES, write_buffer_bytes=_CACHE_BYTES)
    with tempfile.TemporaryDirectory(prefix="postrider-") as log:
        store = LocalStore(path, budget, beside=Path(log))
        try:
            yield Stored(store)
        finally:
            store.close()
