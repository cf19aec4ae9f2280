"""What of the batches of a changelog counts: those of transactions that were committed.

A batch is left as it came until its records are asked for: only its head is looked at.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

AbortedTransaction = tuple[int, int]
"""Producer id, and offset of its first record in this partition."""


class CommittedRecord(Protocol):
    """One of aiokafka's records."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Fetched:
    """What a leader answered when it was asked for the records from `position` on."""

    def __init__(
        self, position: int, batches: bytes, aborted: Collection[AbortedTransaction]
    ) -> None:
        """`aborted` are all transactions that reach into these batches and were given up. What lies
        behind the last stable offset the leader does not tell to who reads committed records."""
        self._position = position
        self._batches: list[Any] = []
        self.next_position = position
        """Behind the last batch, even if nothing in it counts, or compaction has left nothing of it."""
        self._go_through(MemoryRecords(batches), sorted(aborted, key=itemgetter(1), reverse=True))

    def records(self, end: int) -> Iterator[CommittedRecord]:
        """From `position` on, with offsets below `end`; once.

        Each is made when it is asked for: forty thousand at once would have left the processor's
        cache by the time that their rows are written.
        """
        return chain.from_iterable(map(partial(self._asked_for, end), self._batches))

    def _asked_for(self, end: int, batch: Any) -> Iterable[CommittedRecord]:
        """A batch comes whole, whatever offset in it was asked for."""
        if batch.base_offset >= self._position and batch.next_offset <= end:
            whole: Iterable[CommittedRecord] = batch
            return whole
        return (record for record in batch if self._position <= record.offset < end)

    def _go_through(self, batches: Any, aborted: list[AbortedTransaction]) -> None:
        giving_up: set[int] = set()
        while batches.has_next():  # one that was cut off at the end of the answer does not count
            batch = batches.next_batch()
            while aborted and aborted[-1][1] <= batch.base_offset:
                giving_up.add(aborted.pop()[0])
            if batch.is_control_batch:
                if _is_abort(batch):
                    giving_up.discard(batch.producer_id)
            elif not (batch.is_transactional and batch.producer_id in giving_up):
                self._batches.append(batch)
            self.next_position = batch.next_offset


def _is_abort(marker: Any) -> bool:
    """Compaction leaves a marker empty once its transaction has nothing left that it could mark."""
    return any(ControlRecord.parse(record.key) == ABORT_MARKER for record in marker)
