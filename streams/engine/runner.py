"""`Runner`: all partitions of a role in one process; takes over (R3), drains and gives up (R4)."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.calls import CallGate
from streams.engine.exposure import MAX_EXPOSED
from streams.engine.gaps import read_on
from streams.engine.partition import Partition
from streams.engine.ports import (
    Clock,
    IntakeControl,
    Lease,
    Observer,
    PartitionStore,
    TransactionLog,
)
from streams.engine.room import Room
from streams.engine.routes import Topology
from streams.engine.turns import BulkTurns

Bounds = Mapping[TopicPartition, tuple[int, int]]
"""First offset held and end (high watermark) of each source."""

_TIDY_TICKS = 4
"""Ticks between two rounds of housekeeping, which the partitions take in turn."""
_LEAST_QUEUE_BYTES = 64 * 1024
_TIMES_ASKED = 10
"""Before an end is believed that cannot be."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """Bounds of a worker; `faust.yaml` sets them."""

    max_open_calls: int = 512
    """Provider calls in flight, over all partitions of the role."""
    max_exposed: int = MAX_EXPOSED
    """Recipients of one urgency that a crash may leave in doubt."""
    intake_bytes: int = 32 * 1024 * 1024
    """Waiting records of all sources together; each topic-partition has an equal part, beyond which
    it alone is paused."""
    room_bytes: int = 2 * 1024 * 1024
    """Records under way, of one urgency, over all partitions; decoded they are far larger."""
    drain_seconds: float = 11.0
    """The longest provider timeout and a second: shorter leaves deliveries in doubt."""
    cut_grace_seconds: float = 5.0
    """How long the generators of cut-off calls may take to record them as `Unknown`."""
    tick_seconds: float = 0.25
    disbelief_seconds: float = 10.0
    """A source that ends before what was read of it is believed to be another only when that is told for
    so long: a broker that leads it no more tells the same, until it hears of that."""


class Runner:
    """What the Faust app drives in a worker, and the simulator in memory."""

    def __init__(
        self,
        *,
        topology: Topology,
        log_for: Callable[[int], TransactionLog],
        store_for: Callable[[int], PartitionStore],
        bounds_of: Callable[[Collection[TopicPartition]], Awaitable[Bounds]],
        fenced: Callable[[Collection[int]], None],
        before_open: Callable[[], Awaitable[None]],
        lease: Lease,
        clock: Clock,
        control: IntakeControl,
        observer: Observer,
        settings: RunnerSettings,
        die: Callable[[BaseException], None],
    ) -> None:
        self._topology = topology
        self._log_for = log_for
        self._store_for = store_for
        self._bounds_of = bounds_of
        self._fenced = fenced
        self._before_open = before_open
        self._clock = clock
        self._control = control
        self._observer = observer
        self._settings = settings
        self._die = die
        self.gate = CallGate(
            limit=settings.max_open_calls, lease=lease, max_exposed=settings.max_exposed
        )
        self._turns = BulkTurns()
        self._rooms = {
            urgency: Room(settings.room_bytes)
            for urgency in {route.priority for route in topology.routes()}
        }
        self._partitions: dict[int, Partition] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._giving_up: asyncio.Task[None] | None = None
        self.is_taking_over = False
        """Earlier owners may be fenced already, and nothing is held yet."""

    @property
    def partitions(self) -> Collection[Partition]:
        return self._partitions.values()

    async def partitions_assigned(self, numbers: Collection[int]) -> dict[TopicPartition, int]:
        """R3. Returns the offset that each source must be read from.

        Nothing is kept across a rebalance: every partition is taken over, and one that comes
        back finds nothing to restore. `fenced` is told the partitions once no earlier owner takes
        another token for them; `before_open` returns once every tail is at its end.
        """
        assert not self._partitions, "the partitions of the last assignment were not given up"
        self.is_taking_over = True
        try:
            return await self._take_over(numbers)
        finally:
            self.is_taking_over = False

    async def _take_over(self, numbers: Collection[int]) -> dict[TopicPartition, int]:
        sources = len(numbers) * len(self._topology.sources)
        queue_bytes = max(_LEAST_QUEUE_BYTES, self._settings.intake_bytes // max(sources, 1))
        taken = {number: self._new_partition(number, queue_bytes) for number in sorted(numbers)}
        await asyncio.gather(*(partition.fence() for partition in taken.values()))
        self._fenced(numbers)
        await asyncio.gather(*(partition.restore() for partition in taken.values()))
        asked_ms = self._clock.now_ms()
        bounds = await self._believable_bounds({
            place: position.next_offset or 0
            for partition in taken.values()
            for place, position in partition.positions.items()
        })  # fmt: skip
        for partition in taken.values():
            partition.correct_positions(bounds, asked_ms=asked_ms)
        await self._before_open()
        self._partitions = taken
        self.gate.reopen()
        for partition in taken.values():
            partition.open()
        self._ticking = asyncio.create_task(self._tick())
        return {
            place: max(position.next_offset or 0, bounds[place][0])
            for partition in taken.values()
            for place, position in partition.positions.items()
        }

    def push(self, record: InboundRecord) -> None:
        """One record of a source, in offset order for its topic-partition; others are ignored."""
        partition = self._partitions.get(record.partition)
        if partition is not None:
            partition.push(record)

    async def out_of_range(self, place: TopicPartition, offset: int) -> int:
        """The broker refused to read a source from here. Returns where to read on, as `gaps.read_on`.

        What was taken of it is not disturbed: after a restart, that would be gone as well.
        """
        bounds = await self._believable_bounds({place: offset})
        begin = read_on(place, offset, bounds[place])
        partition = self._partitions.get(place.partition)
        if begin > offset and partition is not None:
            partition.pass_over(place, offset, begin)
        return begin

    async def give_up(self) -> None:
        """R4. Drain, bounded, and close every partition: on revocation and on SIGTERM.

        Calls open at the bound are cut off and recorded as `Unknown`; nothing else is in
        doubt. Afterwards a later yield raises. Both may happen at once: the second waits for what
        the first has begun. One that fails ends the process: Faust would take it for a crash of its
        own, and may wait for ever while the group takes us for the owner.
        """
        if self._giving_up is None:
            self._giving_up = asyncio.create_task(self._give_up())
        await asyncio.shield(self._giving_up)

    async def _give_up(self) -> None:
        try:
            await self._drain()
        except Exception as error:
            self._die(error)
            raise

    async def _drain(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        self.gate.drain()
        draining = [asyncio.create_task(each.drain()) for each in self._partitions.values()]
        if draining:
            _, late = await asyncio.wait(draining, timeout=self._settings.drain_seconds)
            if late:
                self.gate.cut()
                await asyncio.wait(late, timeout=self._settings.cut_grace_seconds)
        await asyncio.gather(*(partition.close() for partition in self._partitions.values()))
        for task in draining:
            task.cancel()
        self._partitions = {}
        self._giving_up = None

    def positions(self) -> dict[TopicPartition, int]:
        """Offsets up to which everything is done, for the group's lag."""
        return {
            place: position.next_offset
            for partition in self._partitions.values()
            for place, position in partition.positions.items()
            if position.next_offset is not None
        }

    def idle_sources(self) -> set[TopicPartition]:
        """Sources of which nothing is taken and unfinished."""
        return {
            place
            for partition in self._partitions.values()
            for place, position in partition.positions.items()
            if not position.waiting
        }

    def backlog(self) -> dict[str, tuple[int, int]]:
        """By topic: records taken and not finished, and the append time of the oldest."""
        found: dict[str, tuple[int, int]] = {}
        for partition in self._partitions.values():
            for topic, count, oldest_ms in partition.backlog():
                so_far, oldest_so_far = found.get(topic, (0, oldest_ms))
                found[topic] = so_far + count, min(oldest_so_far, oldest_ms)
        return found

    def kill(self) -> None:
        """End at once, as a crash does; for a process that is about to exit."""
        if self._ticking is not None:
            self._ticking.cancel()
        for partition in self._partitions.values():
            partition.kill()

    async def _believable_bounds(self, read: Mapping[TopicPartition, int]) -> Bounds:
        """Of sources of which so much was read."""
        for _ in range(_TIMES_ASKED):
            bounds = await self._bounds_of(list(read))
            if all(bounds[place][1] >= offset for place, offset in read.items()):
                break
            await asyncio.sleep(self._settings.disbelief_seconds / _TIMES_ASKED)
        return bounds

    def _new_partition(self, number: int, queue_bytes: int) -> Partition:
        return Partition(
            number,
            topology=self._topology,
            log=self._log_for(number),
            store=self._store_for(number),
            gate=self.gate,
            turns=self._turns,
            rooms=self._rooms,
            clock=self._clock,
            control=self._control,
            observer=self._observer,
            queue_bytes=queue_bytes,
            die=self._die,
        )

    async def _tick(self) -> None:
        for turn in itertools.count():
            await asyncio.sleep(self._settings.tick_seconds)
            for number, partition in self._partitions.items():
                partition.pump()
                # A store that is tidied says that it is up to date. Who was suspended or cut off for
                # days cannot know that before a heartbeat: a copy older than its changelog's
                # tombstones would bring back what was deleted.
                if (turn + number) % _TIDY_TICKS == 0 and self.gate.may_call:
                    partition.tidy()
