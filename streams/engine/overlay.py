"""`Overlay`: the rows of a partition as a stage reads them, staged ones before committed ones.

Reading staged rows is safe because what is staged is committed in staging order, and a
transaction that fails ends the process: nobody can go on with a row that never was.
"""

from collections.abc import Iterable, Sequence

from streams.engine.ports import PartitionStore
from tables.state import Kind, Row


class Overlay:
    """A `State` over one partition's stores; `stage` and `settle` are the committer's."""

    def __init__(self, partition: int, store: PartitionStore) -> None:
        self.partition = partition
        self._store = store
        self._staged: tuple[dict[bytes, tuple[int, bytes | None]], ...] = ({}, {})
        self._tables: tuple[set[int], ...] = (set(), set())
        """First bytes of the keys that are staged, and of some that were: a scan for timers, made
        after every batch, looks at none of the thousands that are of other tables."""

    def stage(self, sequence: int, rows: Iterable[Row]) -> None:
        for kind, key, value in rows:
            self._staged[kind][key] = (sequence, value)
            self._tables[kind].add(key[0])

    def settle(self, sequence: int, kind: Kind, keys: Iterable[bytes]) -> None:
        """Forget rows that are applied now, unless a later yield has written them again."""
        staged = self._staged[kind]
        for key in keys:
            entry = staged.get(key)
            if entry is not None and entry[0] <= sequence:
                del staged[key]
        if not staged:
            self._tables[kind].clear()

    def get(self, kind: Kind, key: bytes) -> bytes | None:
        entry = self._staged[kind].get(key)
        return entry[1] if entry is not None else self._store.get(kind, key)

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]:
        staged = self._staged[kind]
        if staged.keys().isdisjoint(keys):
            return self._store.get_many(kind, keys)
        missing = [key for key in keys if key not in staged]
        found = dict(zip(missing, self._store.get_many(kind, missing), strict=True))
        return [staged[key][1] if key in staged else found[key] for key in keys]

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Of one table: every key from `start` to `end` begins with the same byte."""
        ours: dict[bytes, bytes | None] = {}
        if start[0] in self._tables[kind]:
            staged = self._staged[kind].items()
            ours = {key: value for key, (_, value) in staged if start <= key < end}
        if not ours:
            return self._store.scan(kind, start, end, limit)
        # Each staged row can hide at most one stored row, so this many are enough to fill `limit`.
        merged: dict[bytes, bytes | None] = dict(
            self._store.scan(kind, start, end, limit + len(ours))
        )
        merged.update(ours)
        rows = sorted((key, value) for key, value in merged.items() if value is not None)
        return rows[:limit]
