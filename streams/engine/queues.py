"""Intake of one source topic-partition: a bounded queue that stops the fetching when it is full."""

from collections import deque

from schemas.kafka import InboundRecord
from streams.engine.ports import IntakeControl
from streams.engine.positions import SourcePosition
from streams.engine.routes import Source

MAX_POP_BYTES = 512 * 1024
"""Of one batch, and the last record may exceed it."""
MAX_OPEN_RECORDS = 2000
"""Records taken and not finished; their offsets may all stand in the position row."""


class SourceQueue:
    """Records of one source that wait for a batch. Only this topic-partition is paused when full:
    one that waits for a provider must not hold up another."""

    def __init__(
        self, *, source: Source, position: SourcePosition, control: IntakeControl, max_bytes: int
    ) -> None:
        self.source = source
        self.position = position
        self._control = control
        self._max_bytes = max_bytes
        self._records: deque[tuple[InboundRecord, int]] = deque()
        """Each with its size: to ask for it costs a fifth of what a single request spends here."""
        self._parts: deque[tuple[InboundRecord, int]] = deque()
        """What is left of the record that is being handed out: one is taken apart when its turn comes,
        since its parts take up several times as much."""
        self._bytes = 0
        self._is_paused = False

    def __bool__(self) -> bool:
        return bool(self._parts or self._records)

    def push(self, record: InboundRecord) -> bool:
        """Take a record unless it is done or was taken before; what a paused fetcher had in hand
        already is still taken, since it would not come again."""
        if not self.position.take(record.offset, record.timestamp_ms):
            return False
        size = record.size_bytes
        self._records.append((record, size))
        self._bytes += size
        if self._is_over():
            self._pause()
        return True

    def pop(self, limit: int) -> tuple[list[InboundRecord], int]:
        """At most `limit` records, fewer large ones, and how many bytes they are."""
        records: list[InboundRecord] = []
        size = 0
        while self and len(records) < limit and size < MAX_POP_BYTES:
            if not self._parts:
                self._take_apart(*self._records.popleft())
            record, record_bytes = self._parts.popleft()
            records.append(record)
            size += record_bytes
        return records, size

    def resume_if_drained(self) -> None:
        """Half-empty again: let the fetcher go on."""
        if self._is_paused and not self._is_over(share=0.5):
            self._is_paused = False
            self._control.resume(self.position.source)

    def _take_apart(self, record: InboundRecord, size: int) -> None:
        """Into what it holds, but for what is done of it: one at least, or it would be done."""
        self._bytes -= size
        parts = self.source.split(record) if self.source.split is not None else (record,)
        if parts[0].part < 0:
            self._parts.append((record, size))
            return
        left = (parts[part] for part in self.position.divide(record.offset, len(parts)))
        self._parts.extend((part, part.size_bytes) for part in left)

    def _is_over(self, share: float = 1.0) -> bool:
        return (
            self._bytes > self._max_bytes * share
            or self.position.waiting > MAX_OPEN_RECORDS * share
        )

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._control.pause(self.position.source)
