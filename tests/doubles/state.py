"""One partition's rows in memory: what a stage reads, and where its effects are applied."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from tables.state import Kind, Row


class MemoryState:
    """`tables.state.State` over two dicts; reads see exactly the rows applied so far."""

    def __init__(self, partition: int = 0, rows: Iterable[Row] = ()) -> None:
        self.partition = partition
        self._rows: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        self._keys: list[list[bytes]] = [[], []]
        self.apply(rows)

    def get(self, kind: Kind, key: bytes) -> bytes | None:
        return self._rows[kind].get(key)

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]:
        return list(map(self._rows[kind].get, keys))

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        keys, rows = self._keys[kind], self._rows[kind]
        first = bisect_left(keys, start)
        found = keys[first : min(bisect_left(keys, end, first), first + limit)]
        return [(key, rows[key]) for key in found]

    def apply(self, rows: Iterable[Row]) -> None:
        """What the runner does after a commit: the last write of a key wins, None deletes."""
        for row in rows:
            key, value = row.key, row.value
            held, keys = self._rows[row.kind], self._keys[row.kind]
            if value is not None:
                if key not in held:
                    insort(keys, key)
                held[key] = value
            elif held.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]

    def count(self, kind: Kind, prefix: bytes = b"") -> int:
        """How many rows there are whose key starts with `prefix`."""
        return sum(key.startswith(prefix) for key in self._keys[kind])
