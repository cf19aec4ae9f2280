"""R2: positions are rows. Up to where a source is done, and which offsets beyond that are.

The row is part of the transaction that finishes the work, so a restart, a rewind by Faust or
an operator's reset of the group's offsets can neither lose nor repeat a record.
"""

from collections import deque

import msgspec

from schemas.kafka import TopicPartition
from tables.state import Kind, Row

POSITION_PREFIX = b"\x01"


class _PositionRow(msgspec.Struct, array_like=True, frozen=True):
    next_offset: int
    beyond: list[int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_PositionRow).decode


def position_key(source: TopicPartition) -> bytes:
    """The partition is the store's own, so the topic is the key."""
    return POSITION_PREFIX + source.topic.encode()


class SourcePosition:
    """One source topic-partition since its take-over. Offsets may have gaps (markers, aborts)."""

    def __init__(self, source: TopicPartition, row: bytes | None) -> None:
        stored = _decode(row) if row is not None else None
        self.source = source
        self.next_offset: int | None = stored.next_offset if stored else None
        """Everything below is done; None where nothing was ever finished."""
        self._beyond = set(stored.beyond) if stored else set[int]()
        self._open: deque[int] = deque()
        self._appended_ms: deque[int] = deque()
        self._backlog_end: int | None = None
        self._taken = -1

    def restart(self) -> None:
        """The source was re-created: its offsets mean other records now."""
        self.next_offset = None
        self._beyond.clear()

    def begin(self, end: int) -> None:
        """The source ended here when it was taken over: what lies before is backlog."""
        self._backlog_end = end

    def oldest_ms(self, now_ms: int) -> int:
        """No record that is not done yet was appended before this; 0 while nobody can know."""
        if self._appended_ms:
            return self._appended_ms[0]
        at = max(self._taken + 1, self.next_offset or 0)
        return now_ms if self._backlog_end is not None and at >= self._backlog_end else 0

    def take(self, offset: int, appended_ms: int = 0) -> bool:
        """Whether the record at `offset` is new here; False for what is done or already taken."""
        if offset <= self._taken or (self.next_offset is not None and offset < self.next_offset):
            return False
        if self._taken < 0:  # what lies before the first record will never come again
            self._beyond = {done for done in self._beyond if done >= offset}
        self._taken = offset
        self._open.append(offset)
        self._appended_ms.append(appended_ms)
        if offset in self._beyond:
            self._advance()
            return False
        return True

    def finish(self, offset: int) -> None:
        if self.next_offset is not None and offset < self.next_offset:
            return  # finished by an earlier yield
        self._beyond.add(offset)
        self._advance()

    @property
    def waiting(self) -> int:
        """Offsets taken and not passed yet: what bounds the row's size."""
        return len(self._open)

    def row(self) -> Row:
        value = _encode(_PositionRow(self.next_offset or 0, sorted(self._beyond)))
        return Row(Kind.DURABLE, position_key(self.source), value)

    def _advance(self) -> None:
        while self._open and self._open[0] in self._beyond:
            done = self._open.popleft()
            self._appended_ms.popleft()
            self._beyond.discard(done)
            self.next_offset = self._open[0] if self._open else done + 1
