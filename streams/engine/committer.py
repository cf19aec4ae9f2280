"""R1: group commit. What was yielded while one transaction was in flight forms the next.

A group is a prefix of the staging order, never reordered, because a later yield may have read
what an earlier one staged. After the commit the rows are applied to the stores, then the
generators go on. Any error here ends the process: memory is ahead of Kafka and cannot go back.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import Any

from agents.stage import Effects, Item
from schemas.kafka import TopicPartition
from streams.engine.effects import MAX_GROUP_BYTES, size_of
from streams.engine.items import Taken
from streams.engine.overlay import Layer, Overlay
from streams.engine.ports import Committed, PartitionStore, Transaction, TransactionLog
from streams.engine.positions import SourcePosition
from tables.state import Kind, Row

WAIT_SECONDS = 0.05
"""What a provider has accepted is in doubt for so much longer when the process dies."""
MAX_WAITING_BYTES = 16 * 1024
"""More than that is company enough."""

_PLACE_OF = attrgetter("topic", "partition")


class PartitionClosed(Exception):
    """Raised at a yield when the partition has been given up: its next owner may be writing."""


class Group:
    """Yields that are committed together."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self.transaction = Transaction(layer.rows)
        self.done: list[Item[Any]] = []
        self.committed: list[asyncio.Future[None]] = []
        self.size_bytes = 0

    def add(self, effects: Effects, size_bytes: int) -> asyncio.Future[None]:
        # Deletions first: a turn may put its row back under the same key in the same yield.
        due = [item.row_key for item in effects.done if item.row_key is not None]
        self._layer.write(Row(Kind.DURABLE, key, None) for key in due)
        self._layer.write(effects.rows)
        self.transaction.records.extend(effects.records)
        self.done.extend(effects.done)
        self.size_bytes += size_bytes
        committed = asyncio.get_running_loop().create_future()
        self.committed.append(committed)
        return committed


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
        self._pending: deque[Group] = deque()
        self._pending_bytes = 0
        self._due = asyncio.Event()
        """What is staged is to be committed now."""
        self._waiting: asyncio.TimerHandle | None = None
        """The end of the wait of whatever waits for company."""
        self._is_hurried = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._task = asyncio.create_task(self._run())

    @property
    def is_idle(self) -> bool:
        """Whatever was staged is committed."""
        return self._idle.is_set()

    @property
    def pending_bytes(self) -> int:
        """Of what is staged, and in no transaction yet."""
        return self._pending_bytes

    def stage(self, effects: Effects, *, may_wait: bool = False) -> asyncio.Future[None]:
        """Queue one yield; raises `EffectsTooLarge` or `PartitionClosed` and then stages nothing.

        With `may_wait` it is committed together with the next yield that may not, and alone when
        none comes for `WAIT_SECONDS`.
        """
        if self._closed:
            raise PartitionClosed
        size = size_of(effects)
        if not self._pending or self._pending[-1].size_bytes + size > MAX_GROUP_BYTES:
            self._pending.append(Group(self._overlay.begin_layer()))
        committed = self._pending[-1].add(effects, size)
        self._pending_bytes += size
        self._idle.clear()
        if may_wait and not self._is_hurried and self._pending_bytes < MAX_WAITING_BYTES:
            self._wait_for_company()
        else:
            self._due.set()
        return committed

    def hurry(self) -> None:
        """From now on nothing waits for company."""
        self._is_hurried = True
        self._due.set()

    async def flush(self) -> None:
        """Commit and apply everything staged, at once."""
        self._due.set()
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
                await self._due.wait()
                self._due.clear()
                self._end_wait()
                for _ in range(len(self._pending)):
                    group = self._pending.popleft()
                    self._pending_bytes -= group.size_bytes
                    await self._commit(group)
                if not self._pending:
                    self._idle.set()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._closed = True
            self._die(error)

    def _wait_for_company(self) -> None:
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(WAIT_SECONDS, self._due.set)

    def _end_wait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    async def _commit(self, group: Group) -> None:
        transaction = group.transaction
        self._move_positions(group)
        if transaction.records or any(transaction.rows):
            committed = await self._log.commit(transaction)
            self._apply(transaction, committed)
        self._overlay.drop_layer()
        self._on_committed(transaction)
        for staged in group.committed:
            if not staged.done():  # its generator may have been thrown away meanwhile
                staged.set_result(None)

    def _move_positions(self, group: Group) -> None:
        taken = (item.record for item in group.done if isinstance(item, Taken))
        read = (record for record in taken if record is not None)
        moved: dict[TopicPartition, SourcePosition] = {}
        for place, run in groupby(read, _PLACE_OF):
            source = TopicPartition(*place)
            position = moved[source] = self._positions[source]
            for record in run:
                position.finish(record.offset, record.part)
        for position in moved.values():
            row = position.row()
            group.transaction.rows[row.kind][row.key] = row.value

    def _apply(self, transaction: Transaction, committed: Committed) -> None:
        for kind in Kind:
            rows, offset = transaction.rows[kind], committed.offsets[kind]
            if rows and offset is not None:
                self._store.apply(kind, rows, offset)
