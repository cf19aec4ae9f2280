"""R1: group commit. What was yielded while one transaction was in flight forms the next.

A group is a prefix of the staging order, never reordered, because a later yield may have read
what an earlier one staged. After the commit the rows are applied to the stores, then the
generators go on. Any error here ends the process: memory is ahead of Kafka and cannot go back.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.stage import Effects
from schemas.kafka import TopicPartition
from streams.engine.effects import MAX_GROUP_BYTES, size_of
from streams.engine.items import Taken
from streams.engine.overlay import Overlay
from streams.engine.ports import Committed, PartitionStore, Transaction, TransactionLog
from streams.engine.positions import SourcePosition
from tables.state import Kind, Row


class PartitionClosed(Exception):
    """Raised at a yield when the partition has been given up: its next owner may be writing."""


@dataclass(slots=True)
class _Staged:
    sequence: int
    effects: Effects
    rows: Sequence[Row]
    size_bytes: int
    committed: asyncio.Future[None]


class Committer:
    """Turns one partition's yields into transactions, one at a time."""

    def __init__(
        self,
        *,
        log: TransactionLog,
        store: PartitionStore,
        overlay: Overlay,
        positions: dict[TopicPartition, SourcePosition],
        on_committed: Callable[[Transaction], None],
        die: Callable[[BaseException], None],
    ) -> None:
        self._log = log
        self._store = store
        self._overlay = overlay
        self._positions = positions
        self._on_committed = on_committed
        self._die = die
        self._pending: deque[_Staged] = deque()
        self._pending_bytes = 0
        self._sequence = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._task = asyncio.create_task(self._run())

    @property
    def has_full_group(self) -> bool:
        """More waits than the next transaction takes: no bulk turn should add to it."""
        return self._pending_bytes >= MAX_GROUP_BYTES

    def stage(self, effects: Effects) -> asyncio.Future[None]:
        """Queue one yield; raises `EffectsTooLarge` or `PartitionClosed` and then stages nothing."""
        if self._closed:
            raise PartitionClosed
        size = size_of(effects)
        # Deletions first: a turn may put its row back under the same key in the same yield.
        rows = [*(row for item in effects.done for row in _row_deletion(item)), *effects.rows]
        self._sequence += 1
        self._overlay.stage(self._sequence, rows)
        committed = asyncio.get_running_loop().create_future()
        self._pending.append(_Staged(self._sequence, effects, rows, size, committed))
        self._pending_bytes += size
        self._idle.clear()
        self._wake.set()
        return committed

    async def flush(self) -> None:
        """Wait until everything staged is committed and applied."""
        await self._idle.wait()

    async def close(self) -> None:
        """Refuse later yields, let the transaction in flight end, and stop."""
        self._closed = True
        await self.flush()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def kill(self) -> None:
        """Stop at once, as a crash would; for a process that is about to end."""
        self._closed = True
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._pending:
                    await self._commit(self._take_group())
                self._idle.set()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._closed = True
            self._die(error)

    def _take_group(self) -> list[_Staged]:
        group = [self._pending.popleft()]
        size = group[0].size_bytes
        while self._pending and size + self._pending[0].size_bytes <= MAX_GROUP_BYTES:
            size += self._pending[0].size_bytes
            group.append(self._pending.popleft())
        self._pending_bytes -= size
        return group

    async def _commit(self, group: list[_Staged]) -> None:
        transaction = self._transaction_of(group)
        if transaction.records or any(transaction.rows):
            committed = await self._log.commit(transaction)
            self._apply(transaction, committed, group[-1].sequence)
        self._on_committed(transaction)
        for staged in group:
            if not staged.committed.done():  # its generator may have been thrown away meanwhile
                staged.committed.set_result(None)

    def _transaction_of(self, group: list[_Staged]) -> Transaction:
        latest: tuple[dict[bytes, bytes | None], dict[bytes, bytes | None]] = ({}, {})
        transaction = Transaction()
        moved: dict[TopicPartition, SourcePosition] = {}
        for staged in group:
            for kind, key, value in staged.rows:
                latest[kind][key] = value
            transaction.records.extend(staged.effects.records)
            for item in staged.effects.done:
                if isinstance(item, Taken) and item.source is not None:
                    position = self._positions[item.source]
                    position.finish(item.source_offset)
                    moved[item.source] = position
        for position in moved.values():
            kind, key, value = position.row()
            latest[kind][key] = value
        for kind in Kind:
            transaction.rows[kind].extend(latest[kind].items())
        return transaction

    def _apply(self, transaction: Transaction, committed: Committed, sequence: int) -> None:
        for kind in Kind:
            rows, offset = transaction.rows[kind], committed.offsets[kind]
            if rows and offset is not None:
                self._store.apply(kind, rows, offset)
                self._overlay.settle(sequence, kind, (key for key, _ in rows))


def _row_deletion(item: object) -> Sequence[Row]:
    if isinstance(item, Taken) and item.row_key is not None:
        return (Row(Kind.DURABLE, item.row_key, None),)
    return ()
