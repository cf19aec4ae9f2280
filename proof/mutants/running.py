"""An engine that keeps one of its rules no more."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from rocksdict import WriteBatch

from agents.stage import Effects
from proof.mutants.base import replace
from schemas.kafka import Record
from streams.engine import positions
from streams.engine.committer import Committer, Group
from streams.engine.ports import Committed, Transaction
from streams.engine.positions import SourcePosition
from streams.engine.runner import Runner
from streams.engine.running import StageRun
from streams.names import Names
from streams.transactional_producer import Spans
from streams.transactions import KafkaLog
from streams.watched_clock import WatchedClock
from streams.worker import _Process
from tables.state import Kind, Row

_GAP_SECONDS = 0.2
"""Between what belongs together: a kill may come here."""
_DEAF_SECONDS = 2.0
"""Until who lost its membership hears of it."""


def write_records_after_the_rows() -> None:
    """In a transaction of their own."""
    commit = KafkaLog.commit

    async def commit_apart(self: KafkaLog, transaction: Transaction) -> Committed:
        records: list[Record] = transaction.records
        committed = Committed((None, None))
        if any(transaction.rows):
            committed = await commit(self, Transaction(transaction.rows))
        await asyncio.sleep(_GAP_SECONDS)
        if records:
            await commit(self, Transaction(records=records))
        return committed

    replace(KafkaLog, "commit", commit_apart)


def apply_rows_before_the_commit() -> None:
    """And nothing of where the changelog was then: a worker that knew would refuse to go on."""
    commit = Committer._commit

    async def apply_and_commit(self: Committer, group: Group) -> None:
        self._move_positions(group)
        rows_by_kind = group.transaction.rows
        for kind in Kind:
            store = self._store._stores[kind]  # type: ignore[attr-defined]  # of the files, not of the port
            ahead = WriteBatch(raw_mode=True)
            for key, value in rows_by_kind[kind].items():
                if value is None:
                    ahead.delete(key)
                else:
                    ahead.put(key, value)
            store._write(ahead)
        await asyncio.sleep(_GAP_SECONDS)
        await commit(self, group)

    replace(Committer, "_commit", apply_and_commit)


def be_done_with_what_was_only_taken() -> None:
    """As a consumer's auto-commit is."""

    def row(self: SourcePosition) -> Row:
        end = max(self._taken + 1, self.next_offset or 0)
        value = positions._encode(positions._PositionRow(end, []))
        return Row(Kind.DURABLE, positions.position_key(self.source), value)

    replace(SourcePosition, "row", row)


def fence_nobody() -> None:
    """A transactional id for each process, as some manuals would have it: who was suspended writes
    on, though another has the partition, until it hears that it is no member any more."""
    replace(
        Names, "transactional_id", lambda self, role, partition: f"{role}-{partition}-{uuid4()}"
    )
    commit, die_of_loss = KafkaLog.commit, _Process._membership_lost

    async def commit_later(self: KafkaLog, transaction: Transaction) -> Committed:
        await asyncio.sleep(_GAP_SECONDS)
        return await commit(self, transaction)

    def hear_later(self: _Process) -> None:
        threading.Timer(_DEAF_SECONDS, die_of_loss, [self]).start()

    replace(KafkaLog, "commit", commit_later)
    replace(_Process, "_membership_lost", hear_later)


def take_a_part_for_the_whole() -> None:
    """Of a transaction that was given up, once something of it counts."""
    counting = KafkaLog._counting

    async def all_or_nothing(self: KafkaLog, appended: Spans) -> Spans:
        return appended if await counting(self, appended) else {}

    replace(KafkaLog, "_counting", all_or_nothing)


def believe_any_clock() -> None:
    def believed_ms(self: WatchedClock) -> int:
        return self.now_ms()

    replace(WatchedClock, "compare", lambda self, appended_ms, *, asked_ms: None)
    replace(WatchedClock, "believed_ms", believed_ms)


def give_up_without_a_drain() -> None:
    async def give_up(self: Runner) -> None:
        self.kill()
        self._partitions = {}

    replace(Runner, "give_up", give_up)


def throw_rubbish_away() -> None:
    send_home = StageRun._send_home

    async def forget_and_send_home(self: StageRun, batch: Any, refused: Sequence[Any]) -> Any:
        if refused:
            await self._stage(Effects(done=[item for item, _, _ in refused]))
        return await send_home(self, batch, ())

    replace(StageRun, "_send_home", forget_and_send_home)
