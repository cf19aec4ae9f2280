"""One partition of a role: what it has taken over, what it runs, and how it is given up.

`pump` is the heart: whenever something may have changed (a record, a committed yield, a
timer) it starts the batches that may start, most urgent source first.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from agents.stage import Effects
from policies.blame import is_of_the_machine
from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.batch import EngineBatch
from streams.engine.calls import BatchCalls, CallGate
from streams.engine.committer import Committer
from streams.engine.effects import MAX_GROUP_BYTES
from streams.engine.items import Taken
from streams.engine.overlay import Overlay
from streams.engine.ports import (
    Clock,
    IntakeControl,
    Observer,
    PartitionStore,
    Transaction,
    TransactionLog,
)
from streams.engine.positions import SourcePosition, position_key
from streams.engine.queues import SourceQueue
from streams.engine.room import Room
from streams.engine.routes import Source, Timer, Topology
from streams.engine.running import StageRun
from streams.engine.turns import BulkTurns
from tables.state import Kind

SHORTER = 8
"""So much less bulk work is done at a time while something urgent shares the worker."""
LONGEST_LAG_MS = 3 * 86_400_000
"""What is not known to be read is taken to lag so far behind, and no further: a delivery that was
decided before the senders' tails begin would be given up."""

HEAD_START_SECONDS = 5.0
"""So long at most does a partition that was taken over leave all other work alone until what people had
said before is read: their requests come from another topic, and the broker may tell of that one first.
There is a bound, since an end that is a marker is never reached, and since whoever reads the changes of
some days must not keep a login code waiting."""


class Partition:
    """Call `fence`, `restore`, then `open`, then `push` and `tick`; `drain` and `close` give it up."""

    def __init__(
        self,
        number: int,
        *,
        topology: Topology,
        log: TransactionLog,
        store: PartitionStore,
        gate: CallGate,
        turns: BulkTurns,
        rooms: Mapping[int, Room],
        clock: Clock,
        control: IntakeControl,
        observer: Observer,
        queue_bytes: int,
        die: Callable[[BaseException], None],
    ) -> None:
        self.number = number
        self.state = Overlay(number, store)
        self._topology = topology
        self._log = log
        self._store = store
        self._gate = gate
        self._turns = turns
        self._rooms = rooms
        self._clock = clock
        self._control = control
        self._observer = observer
        self._queue_bytes = queue_bytes
        self._die = die
        self.positions: dict[TopicPartition, SourcePosition] = {}
        self._queues: dict[str, SourceQueue] = {}
        """By topic."""
        self._claimed: set[bytes] = set()
        self._running: Counter[str] = Counter()
        """Batches of each route."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle_until_ms: dict[str, float] = {}
        """By timer, when there may be something for it, unless a durable row is written."""
        self._is_open = False
        self._routes = topology.routes()
        self._telling = [
            TopicPartition(source.topic, number)
            for source in topology.sources
            if source.tells_state
        ]
        self._before_all = max(
            (source.priority for source in topology.sources if source.tells_state), default=0
        )
        """What is as urgent as this never waits for what people said."""
        self._is_behind = False
        self._opened_at = 0.0

    async def fence(self) -> None:
        """R3, first: no earlier owner commits an intent from now on, so none begins another call."""
        await self._log.start()

    async def restore(self) -> None:
        """R3, then: restore to the committed end, and read positions."""
        report = await self._store.restore()
        self._log.restored(report.ends)
        self._observer.restored(self.number, report)
        for source in self._topology.sources:
            place = TopicPartition(source.topic, self.number)
            position = SourcePosition(place, self._store.get(Kind.DURABLE, position_key(place)))
            self.positions[place] = position
            self._queues[source.topic] = SourceQueue(
                source=source,
                position=position,
                control=self._control,
                max_bytes=self._queue_bytes,
            )
        # Only now: a committer of a partition that was not taken over must not exist.
        self._committer = Committer(
            log=self._log,
            store=self._store,
            overlay=self.state,
            positions=self.positions,
            on_committed=self._committed,
            die=self._die,
        )

    def correct_positions(
        self, bounds: Mapping[TopicPartition, tuple[int, int]], *, asked_ms: int
    ) -> None:
        """Compare positions with what the broker held (first offset, end) of each source when asked."""
        for place, position in self.positions.items():
            begin, end = bounds[place]
            position.begin(end, asked_ms)
            if position.next_offset is None:
                continue
            if end < position.next_offset:
                self._observer.source_recreated(place, position.next_offset, end)
                position.restart()
            elif begin > position.next_offset:
                self.pass_over(place, position.next_offset, begin)

    def pass_over(self, place: TopicPartition, offset: int, begin: int) -> None:
        """Retention was faster than we. Told again at the next take-over, unless a record behind the
        gap is done by then: twice is better than never."""
        self._observer.records_lost(place, offset, begin)
        self.positions[place].pass_over(begin)

    def open(self) -> None:
        self._is_open = self._is_behind = True
        self._opened_at = asyncio.get_running_loop().time()
        self.pump()

    def push(self, record: InboundRecord) -> None:
        """Take one record in; ignored while draining, since it will be read again."""
        queue = self._queues.get(record.topic)
        if self._is_open and queue is not None and queue.push(record):
            self._observer.record_in(record)
            self._pump_route(queue.source)

    def pump(self) -> None:
        """Start whatever may start; also called a few times a second, for rows that come due."""
        for route in self._routes:
            self._pump_route(route)

    def _pump_route(self, route: Source | Timer) -> None:
        try:
            if isinstance(route, Source):
                self._pump_source(route)
            else:
                self._pump_timer(route)
        except Exception as error:  # a row of ours that we cannot read: never go on without it
            self._die(error)

    def tidy(self) -> None:
        """Called about once a second: stores merge their files at rest, and forget what has expired."""
        try:
            self._store.merge_at_rest()
            now_ms = self._clock.believed_ms()
            if now_ms is not None:
                self._store.tidy(now_ms, self._oldest_ms(self.positions, now_ms))
        except Exception as error:  # a store that cannot be written must not be read either
            self._die(error)

    def _pump_source(self, source: Source) -> None:
        queue = self._queues[source.topic]
        while queue and self._may_start(source):
            records, size = queue.pop(self._take(source))
            items, refused = self._decode(source, records)
            self._start(source, items, refused, size)
        queue.resume_if_drained()

    def _pump_timer(self, timer: Timer) -> None:
        idle_until_ms = self._idle_until_ms
        while idle_until_ms.get(timer.name, 0) < math.inf and self._may_start(timer):
            if timer.name not in idle_until_ms:
                next_ms = timer.rows.next_due_ms(self.state)
                idle_until_ms[timer.name] = math.inf if next_ms is None else next_ms
            now_ms = self._clock.now_ms()
            if now_ms < idle_until_ms[timer.name]:
                return
            take = self._take(timer)
            due = timer.rows.due(self.state, now_ms, take + len(self._claimed))
            rows = [row for row in due if row[0] not in self._claimed][:take]
            if not rows:  # they are being worked at
                return
            self._claimed.update(key for key, _ in rows)
            items: list[Taken[Any]] = [
                Taken(timer.decode(value), partition=self.number, row_key=key, row_value=value)
                for key, value in rows
            ]
            self._start(timer, items, [], sum(len(value) for _, value in rows))

    def _may_start(self, route: Source | Timer) -> bool:
        may_start = (
            self._is_open
            and self._running[route.name] < route.width
            and not (route.haste == "bulk" and self._is_enough_bulk())
            and not (route.needs_permit and not self._gate.may_call)
            and (route.priority <= self._before_all or not self._must_listen_first())
        )
        room = self._rooms[route.priority]
        if may_start and room.is_full:
            room.wait((self.number, route.name), partial(self._pump_route, route))
            return False
        return may_start

    def _must_listen_first(self) -> bool:
        """Whether something may have been said before the take-over that no decision knows of."""
        if self._is_behind:
            is_late = asyncio.get_running_loop().time() >= self._opened_at + HEAD_START_SECONDS
            backlogs = (self.positions[place].has_backlog for place in self._telling)
            self._is_behind = not is_late and any(backlogs)
        return self._is_behind

    def _take(self, route: Source | Timer) -> int:
        """Items that a batch of it has at the most."""
        is_short = route.haste == "bulk" and self._turns.are_short
        return max(1, route.take // SHORTER) if is_short else route.take

    def _is_enough_bulk(self) -> bool:
        """More is waiting to be committed than bulk work should add to."""
        waiting = self._committer.pending_bytes
        is_enough_beside_urgent = waiting >= MAX_GROUP_BYTES // SHORTER
        return is_enough_beside_urgent and (waiting >= MAX_GROUP_BYTES or self._turns.are_short)

    def _decode(
        self, source: Source, records: list[InboundRecord]
    ) -> tuple[list[Taken[Any]], list[tuple[Taken[Any], str, str]]]:
        items: list[Taken[Any]] = []
        refused: list[tuple[Taken[Any], str, str]] = []
        for record in records:
            item = self._topology.envelopes.item(record, is_forwarded=source.is_forwarded)
            try:
                item.value = source.decode(record)
            except Exception as error:  # whatever a decoder raises is the record's fault, not ours
                if is_of_the_machine(error):
                    raise
                cause, detail = self._topology.envelopes.explain(error)
                refused.append((item, cause, detail))
                continue
            items.append(item)
        return items, refused

    def _start(
        self,
        route: Source | Timer,
        items: list[Taken[Any]],
        refused: list[tuple[Taken[Any], str, str]],
        size_bytes: int,
    ) -> None:
        run = StageRun(
            route=route,
            partition=self,
            envelopes=self._topology.envelopes,
            observer=self._observer,
            turns=self._turns,
        )
        self._running[route.name] += 1
        self._rooms[route.priority].enter(size_bytes)
        task = asyncio.create_task(run.run(items, refused))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, route, items, size_bytes))

    def _ended(
        self,
        route: Source | Timer,
        items: list[Taken[Any]],
        size_bytes: int,
        task: asyncio.Task[None],
    ) -> None:
        self._tasks.discard(task)
        self._running[route.name] -= 1
        self._claimed.difference_update(item.row_key for item in items if item.row_key is not None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._die(error)
            return
        self._rooms[route.priority].leave(size_bytes)
        if not task.cancelled():
            self.pump()

    def batch(self, items: list[Taken[Any]], urgency: int) -> EngineBatch:
        now_ms = self._clock.now_ms()
        return EngineBatch(
            items=items,
            state=self.state,
            now_ms=now_ms,
            known_ms=self._known_ms(now_ms),
            calls=BatchCalls(self._gate, urgency=urgency),
            is_short=self._turns.are_short,
        )

    def _known_ms(self, now_ms: int) -> int:
        """What cannot be fetched is not known, though it may have been acknowledged long ago. A backlog
        of which nothing was read yet tells nothing: it may be as old as it can be."""
        return max(self._oldest_ms(self._telling, now_ms), now_ms - LONGEST_LAG_MS)

    def _oldest_ms(self, places: Iterable[TopicPartition], now_ms: int) -> int:
        """No record of these that is not done yet was appended before this."""
        heard_ms = self._control.heard_ms
        return min((now_ms, *(self.positions[each].oldest_ms(heard_ms(each)) for each in places)))

    def stage(self, effects: Effects, route: Source | Timer) -> asyncio.Future[None]:
        """Queue a yield for the next transaction, or for a later one; see `Committer.stage`.

        Of what all share, whoever waits for company may take half at the most: the other half is
        as quick as if nobody waited.
        """
        if any(row.kind is Kind.DURABLE for row in effects.rows):
            self._idle_until_ms.clear()
        may_wait = effects.can_wait and not self._is_half_used(route)
        return self._committer.stage(effects, may_wait=may_wait)

    def _is_half_used(self, route: Source | Timer) -> bool:
        return (
            2 * self._running[route.name] > route.width
            or self._rooms[route.priority].is_half_used
            or self._gate.exposure.is_half_used(route.priority)
        )

    def _committed(self, transaction: Transaction) -> None:
        self._observer.committed(self.number, transaction)

    @property
    def is_idle(self) -> bool:
        """Nothing that was yielded is left to be committed."""
        return self._committer.is_idle

    def backlog(self) -> Iterator[tuple[str, int, int]]:
        """Topic, records taken and not finished, and the append time of the oldest of them."""
        for place, position in self.positions.items():
            if position.waiting:
                yield place.topic, position.waiting, position.oldest_ms(0)

    async def drain(self) -> None:
        """R4: no new batch starts; returns when every running one has reached its end."""
        self._is_open = False
        self._committer.hurry()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Whoever yields from now on is refused; what was staged before is committed."""
        self._is_open = False
        await self._committer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._log.close()
        self._store.close()

    def kill(self) -> None:
        """End at once without a commit, as a crash does; for a process that is about to exit."""
        self._is_open = False
        self._committer.kill()
        for task in self._tasks:
            task.cancel()
