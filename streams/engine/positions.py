"""R2: positions are rows. Up to where a source is done, which offsets beyond that are, and which parts
of records that hold many.

The row is part of the transaction that finishes the work, so a restart, a rewind by Faust or
an operator's reset of the group's offsets can neither lose nor repeat a record.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from schemas.kafka import TopicPartition
from tables.state import Kind, Row

POSITION_PREFIX = b"\x01"


class _PositionRow(msgspec.Struct, array_like=True, frozen=True):
    next_offset: int
    beyond: list[int]
    partly: dict[int, list[int]] = {}
    """Parts done, by offset, of records that are not done as a whole."""


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
        """Everything below is done, or was gone before anything was taken; None before that."""
        self._beyond = set(stored.beyond) if stored else set[int]()
        self._partly = {at: set(done) for at, done in stored.partly.items()} if stored else {}
        self._sizes: dict[int, int] = {}
        """How many parts each open record has; of those that hold many."""
        self._open: deque[int] = deque()
        self._appended_ms: deque[int] = deque()
        self._backlog_end: int | None = None
        self._taken = -1
        self._taken_ms = 0
        """Whatever was appended before this has been taken, once there is no backlog."""

    def restart(self) -> None:
        """The source was re-created: its offsets mean other records now."""
        self.next_offset = None
        self._beyond.clear()
        self._partly.clear()

    def begin(self, end: int, asked_ms: int) -> None:
        """The source ended here when that was asked at its take-over: what lies before is backlog."""
        self._backlog_end = end
        self._taken_ms = asked_ms

    @property
    def has_backlog(self) -> bool:
        """Whether something that was there when it was taken over is not done yet, as far as that can be
        told: an end that is the marker of a transaction is never reached by records."""
        at = self._open[0] if self._open else max(self._taken + 1, self.next_offset or 0)
        return self._backlog_end is not None and at < self._backlog_end

    def oldest_ms(self, heard_ms: int) -> int:
        """No record that is not done yet was appended before this; 0 while nobody can know.

        `heard_ms`: when the broker was last asked for more than was taken, and had none; 0 before that.
        """
        if self._appended_ms:
            return self._appended_ms[0]
        return 0 if self.has_backlog and not heard_ms else max(self._taken_ms, heard_ms)

    def take(self, offset: int, appended_ms: int = 0) -> bool:
        """Whether the record at `offset` is new here; False for what is done or already taken."""
        if offset <= self._taken or (self.next_offset is not None and offset < self.next_offset):
            return False
        if self._taken < 0:
            self.pass_over(offset)
        self._taken = offset
        self._taken_ms = max(self._taken_ms, appended_ms)
        self._open.append(offset)
        self._appended_ms.append(appended_ms)
        if offset in self._beyond:
            self._advance()
            return False
        return True

    def pass_over(self, begin: int) -> None:
        """What lies before `begin` and was not taken is gone, or was never there: it will not come."""
        self._beyond = {at for at in self._beyond if not self._taken < at < begin}
        self._partly = {
            at: done for at, done in self._partly.items() if not self._taken < at < begin
        }
        self._taken = max(self._taken, begin - 1)
        if not self._open:  # whoever waits for a record that is gone would wait for ever
            self.next_offset = max(self.next_offset or 0, begin)

    def divide(self, offset: int, size: int) -> Iterable[int]:
        """The record just taken holds so many: which of its parts are not done, in order."""
        self._sizes[offset] = size
        done = self._partly.get(offset, ())
        return (part for part in range(size) if part not in done)

    def finish(self, offset: int, part: int = -1) -> None:
        """A record, or one part of it; done as a whole with its last one."""
        if self.next_offset is not None and offset < self.next_offset:
            return  # finished by an earlier yield
        if part < 0 or self._is_last(offset, part):
            self._beyond.add(offset)
            self._advance()

    def _is_last(self, offset: int, part: int) -> bool:
        if offset not in self._sizes:  # done as a whole by an earlier yield
            return False
        done = self._partly.setdefault(offset, set())
        done.add(part)
        if len(done) < self._sizes[offset]:
            return False
        del self._partly[offset], self._sizes[offset]
        return True

    @property
    def waiting(self) -> int:
        """Offsets taken and not passed yet: what bounds the row's size."""
        return len(self._open)

    def row(self) -> Row:
        partly = {offset: sorted(done) for offset, done in self._partly.items()}
        value = _encode(_PositionRow(self.next_offset or 0, sorted(self._beyond), partly))
        return Row(Kind.DURABLE, position_key(self.source), value)

    def _advance(self) -> None:
        while self._open and self._open[0] in self._beyond:
            done = self._open.popleft()
            self._appended_ms.popleft()
            self._beyond.discard(done)
            self.next_offset = self._open[0] if self._open else self._taken + 1
