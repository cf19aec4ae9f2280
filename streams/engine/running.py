"""`StageRun`: one generator from its first read to its last yield, and what happens when it raises."""

import asyncio
import traceback
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol

from agents.stage import Effects
from policies.blame import is_of_the_machine
from schemas.kafka import Record
from streams.engine.batch import EngineBatch
from streams.engine.committer import PartitionClosed
from streams.engine.items import Taken
from streams.engine.ports import Observer
from streams.engine.routes import Envelopes, Source, Timer
from streams.engine.turns import BulkTurns
from tables.state import StoreFailed

Refused = tuple[Taken[Any], str, str]


class Host(Protocol):
    """What a run needs of its partition."""

    def batch(self, items: list[Taken[Any]], urgency: int) -> EngineBatch: ...

    def stage(self, effects: Effects, route: Source | Timer) -> asyncio.Future[None]: ...


class Unfinished(RuntimeError):
    """Raised when a generator ended without finishing an item: its author forgot one."""


class StageRun:
    """Runs one batch; after an exception runs its items one by one and gives up the culprit.

    What the machine has run out of makes no culprit: the process ends, and starts again."""

    def __init__(
        self,
        *,
        route: Source | Timer,
        partition: Host,
        envelopes: Envelopes,
        observer: Observer,
        turns: BulkTurns,
    ) -> None:
        self._route = route
        self._partition = partition
        self._envelopes = envelopes
        self._observer = observer
        self._turns = turns

    async def run(self, items: list[Taken[Any]], refused: Sequence[Refused]) -> None:
        """Finish every item; raises only what must end the process."""
        try:
            batch = self._batch(items)
            mine = await self._send_home(batch, refused)
            if mine:
                await self._run_together(mine)
        except PartitionClosed:
            self._observer.run_abandoned(self._route.stage.name, len(items))

    def _batch(self, items: list[Taken[Any]]) -> EngineBatch:
        return self._partition.batch(items, self._route.priority)

    def _stage(self, effects: Effects) -> asyncio.Future[None]:
        return self._partition.stage(effects, self._route)

    async def _send_home(self, batch: EngineBatch, refused: Sequence[Refused]) -> list[Taken[Any]]:
        """Settle what the stage never sees: undecodable records, and those of another partition."""
        records, done, mine = [], [], []
        for item, cause, detail in refused:
            records.append(self._dead_letter(item, cause, detail, batch.now_ms))
            done.append(item)
        for item, home in zip(batch.items, self._homes(batch), strict=True):
            if home == batch.partition:
                mine.append(item)
            else:
                self._observer.forwarded(item.topic)
                records.append(self._envelopes.forward(item, home))
                done.append(item)
        if done:
            await self._stage(Effects(records=records, done=done))
        return mine

    def _homes(self, batch: EngineBatch) -> Iterable[int]:
        """The partition of each item's user, or of one that names none the one it is in. What was
        forwarded is home, since it went where this says: nothing is forwarded twice."""
        user_of = self._route.user_of if isinstance(self._route, Source) else None
        if user_of is None:
            return repeat(batch.partition, len(batch.items))
        return self._envelopes.homes([user_of(item.value) for item in batch.items])

    async def _run_together(self, items: list[Taken[Any]]) -> None:
        batch = self._batch(items)
        error = await self._drive(batch)
        if error is None:
            return
        self._observer.stage_raised(self._route.stage.name, error)
        unfinished = batch.unfinished()
        for item in unfinished:
            again = self._batch([item])
            # The only item of a batch has just shown what it does: running it again would call a
            # provider again, where it got that far.
            cause = error if len(items) == 1 else await self._drive(again)
            if cause is not None and again.unfinished():
                await self._give_up(again, item, cause)

    async def _drive(self, batch: EngineBatch) -> Exception | None:
        """Run the generator to its end; the exception it raised, if it did."""
        generator = self._route.stage.handle(batch)
        is_cancelled = False
        try:
            if self._route.haste == "bulk":
                await self._turns.wait()
            while True:
                effects = await anext(generator)
                committed = self._stage(effects)
                batch.note_finished(effects)
                await self._until_next_step(batch, effects, committed)
        except StopAsyncIteration:
            left = len(batch.unfinished())
            return Unfinished(f"{left} items were not finished") if left else None
        except asyncio.CancelledError:
            is_cancelled = True
            raise
        except (PartitionClosed, StoreFailed):
            raise
        except Exception as error:
            if is_of_the_machine(error):
                raise
            return error
        finally:
            if isinstance(generator, AsyncGenerator):
                await generator.aclose()
            if (
                not is_cancelled
            ):  # or a call that heeds no cut would keep the partition from closing
                await batch.end_calls()

    async def _until_next_step(
        self, batch: EngineBatch, effects: Effects, committed: Awaitable[None]
    ) -> None:
        if self._route.haste == "urgent" and not effects.can_wait:
            with self._turns.urgent():
                await committed
            return
        await committed
        # A sender goes on at once: what it intends is in doubt until it has called.
        may_rest = self._route.haste == "bulk" and not self._route.needs_permit
        if may_rest and batch.unfinished():
            await self._turns.wait()

    async def _give_up(self, batch: EngineBatch, item: Taken[Any], error: Exception) -> None:
        def letter() -> Record:
            return self._dead_letter(item, "stage_raised", _where(error), batch.now_ms)

        try:
            owed = self._route.stage.give_up(batch, item, type(error).__name__)
            records = owed.records if item in owed.done else [*owed.records, letter()]
            committed = self._stage(Effects(owed.rows, records, [item]))
        except (PartitionClosed, StoreFailed):
            raise
        except Exception as second:
            if is_of_the_machine(second):
                raise
            # Not even its receipts can be written; without its dead letter it would come for ever.
            self._observer.stage_raised(self._route.stage.name, second)
            committed = self._stage(Effects(records=[letter()], done=[item]))
        await committed

    def _dead_letter(self, item: Taken[Any], cause: str, detail: str, now_ms: int) -> Record:
        stage = self._route.stage.name
        self._observer.dead_lettered(stage, cause)
        return self._envelopes.dead_letter(
            item, stage=stage, cause=cause, detail=detail, now_ms=now_ms
        )


def _where(error: Exception) -> str:
    """Type and place of an exception; its text may hold what a producer wrote, and stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
