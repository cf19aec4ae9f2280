"""Read your own writes: rows of a partition as a stage reads them, staged ones before committed ones.

Reading staged rows is safe because what is staged is committed in staging order, and a
transaction that fails ends the process: nobody can go on with a row that never was.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from streams.engine.ports import PartitionStore
from tables.packing import Rows
from tables.state import Kind, Row


class Layer:
    """The rows of one transaction, by kind: the last write of each key."""

    def __init__(self) -> None:
        self.rows: tuple[Rows, Rows] = ({}, {})
        self.tables: tuple[set[int], set[int]] = (set(), set())
        """First bytes of the keys: a scan for timers, made after every batch, looks at none of the
        thousands that are of other tables."""

    def write(self, rows: Iterable[Row]) -> None:
        for row in rows:
            kind, key = row.kind, row.key
            self.rows[kind][key] = row.value
            self.tables[kind].add(key[0])


class Overlay:
    """A `State` over one partition's stores; layers are the committer's."""

    def __init__(self, partition: int, store: PartitionStore) -> None:
        self.partition = partition
        self._store = store
        self._layers: deque[Layer] = deque()
        """Oldest first: few, since each but the newest is a full transaction."""

    def begin_layer(self) -> Layer:
        """What is written to it hides what lies below."""
        layer = Layer()
        self._layers.append(layer)
        return layer

    def drop_layer(self) -> None:
        """Forget the oldest: its rows are in the store now."""
        self._layers.popleft()

    def get(self, kind: Kind, key: bytes) -> bytes | None:
        for layer in reversed(self._layers):
            if key in layer.rows[kind]:
                return layer.rows[kind][key]
        return self._store.get(kind, key)

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]:
        staged: Rows = {}
        for layer in self._layers:
            rows = layer.rows[kind]
            if not rows.keys().isdisjoint(keys):
                staged.update((key, rows[key]) for key in keys if key in rows)
        if not staged:
            return self._store.get_many(kind, keys)
        missing = [key for key in keys if key not in staged]
        found = zip(missing, self._store.get_many(kind, missing), strict=True)
        staged.update(found)
        return [staged[key] for key in keys]

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Of one table: every key from `start` to `end` begins with the same byte."""
        staged: Rows = {}
        for layer in self._layers:
            if start[0] in layer.tables[kind]:
                rows = layer.rows[kind].items()
                staged.update((key, value) for key, value in rows if start <= key < end)
        if not staged:
            return self._store.scan(kind, start, end, limit)
        # Each staged row can hide at most one stored row, so this many are enough to fill `limit`.
        merged: Rows = dict(self._store.scan(kind, start, end, limit + len(staged)))
        merged.update(staged)
        found = sorted((key, value) for key, value in merged.items() if value is not None)
        return found[:limit]
