"""Rows that come due: deferrals, `send_at`, retries, parking and fan-out progress are one mechanism.

A row's key is `prefix ‖ due_ms (8 bytes, big-endian) ‖ id`, so the earliest is found first.
A row that is handed out is claimed in memory until the yield that finishes its item; the
runner deletes the row in that transaction, and the stage writes what is to happen next.
"""

import struct
from dataclasses import dataclass

from tables.state import Kind, Row, State

_DUE = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class DueTable:
    """A durable table ordered by the instant its rows come due."""

    prefix: bytes

    def put(self, due_ms: int, row_id: bytes, value: bytes) -> Row:
        """`row_id` must be unique among rows of the same instant."""
        return Row(Kind.DURABLE, self.prefix + _DUE.pack(due_ms) + row_id, value)

    def delete(self, key: bytes) -> Row:
        return Row(Kind.DURABLE, key, None)

    def due(self, state: State, now_ms: int, limit: int) -> list[tuple[bytes, bytes]]:
        """Rows whose time has come, earliest first."""
        return state.scan(Kind.DURABLE, self.prefix, self.prefix + _DUE.pack(now_ms + 1), limit)

    def next_due_ms(self, state: State) -> int | None:
        """The earliest instant, past or future; None when the table is empty."""
        rows = self._all(state, 1)
        return _DUE.unpack_from(rows[0][0], len(self.prefix))[0] if rows else None

    def row_ids(self, state: State, limit: int) -> list[bytes]:
        """Of all rows, due or not, by when they come due."""
        return [key[len(self.prefix) + _DUE.size :] for key, _ in self._all(state, limit)]

    def _all(self, state: State, limit: int) -> list[tuple[bytes, bytes]]:
        end = self.prefix[:-1] + bytes([self.prefix[-1] + 1])
        return state.scan(Kind.DURABLE, self.prefix, end, limit)

    def due_ms_of(self, key: bytes) -> int:
        due_ms: int = _DUE.unpack_from(key, len(self.prefix))[0]
        return due_ms
