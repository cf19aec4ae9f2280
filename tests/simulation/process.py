"""A worker process of the simulator: the engine's `Runner`, a membership, a fetcher, a lease."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Protocol

from proof.named_yields import Point
from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.gaps import SourceRecreated
from streams.engine.ports import Lease, RestoreReport, Transaction
from streams.engine.routes import Topology
from streams.engine.runner import Bounds, Runner, RunnerSettings
from streams.watched_clock import ClockAskew
from tests.simulation.broker import Broker, Fenced, OutOfRange, Reader
from tests.simulation.clocks import StoryClock
from tests.simulation.disk import Files, MemoryLog, MemoryStore, TransactionAborted
from tests.simulation.group import Group, LostMembership, Member
from tests.simulation.loop import Domain, VirtualLoop, pause
from tests.simulation.spans import Spans
from tests.simulation.watching import Watch

EXPECTED_DEATHS = (ClockAskew, Fenced, LostMembership, SourceRecreated, TransactionAborted)
"""Ends that the rules ask for; a process that dies of anything else has found a bug."""
_RECORDS_A_READ = 100


class MemoryLease:
    """R5: good while the last good heartbeat, by its send time, is younger than the session."""

    def __init__(self, loop: VirtualLoop, spans: Spans) -> None:
        self._loop = loop
        self._good_for_seconds = spans.session - spans.lease_margin
        self._renewed_at = loop.time()
        self._renewed = asyncio.Event()

    def renew(self, sent_at: float) -> None:
        self._renewed_at = max(self._renewed_at, sent_at)
        self._renewed.set()
        self._renewed.clear()

    def is_good(self) -> bool:
        return self._loop.time() - self._renewed_at < self._good_for_seconds

    async def wait_until_good(self) -> None:
        while not self.is_good():
            await self._renewed.wait()


class Notes:
    """An observer that counts, for tests to look at."""

    def __init__(self) -> None:
        self.dead_letters: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        self.recreated: list[TopicPartition] = []
        self.lost: list[tuple[TopicPartition, int, int]] = []
        self.forwarded_topics: list[str] = []
        self.abandoned = 0

    def record_in(self, record: InboundRecord) -> None: ...

    def forwarded(self, topic: str) -> None:
        self.forwarded_topics.append(topic)

    def dead_lettered(self, stage: str, cause: str) -> None:
        self.dead_letters.append((stage, cause))

    def stage_raised(self, stage: str, error: Exception) -> None:
        self.errors.append(error)

    def run_abandoned(self, stage: str, items: int) -> None:
        self.abandoned += 1

    def committed(self, partition: int, transaction: Transaction) -> None: ...

    def restored(self, partition: int, report: RestoreReport) -> None: ...

    def source_recreated(self, source: TopicPartition, position: int, end: int) -> None:
        self.recreated.append(source)

    def records_lost(self, source: TopicPartition, position: int, begin: int) -> None:
        self.lost.append((source, position, begin))


class Plan(Protocol):
    """What a process runs, and what lives beside it; see `streams.worker.Plan`."""

    @property
    def topology(self) -> Topology: ...

    def permit(self, lease: Lease) -> Lease: ...

    async def start(self, die: Callable[[BaseException], None]) -> None: ...

    def fenced(self, numbers: Collection[int]) -> None: ...

    async def before_open(self) -> None: ...

    async def close(self) -> None: ...


class Surroundings(Protocol):
    """What a process finds where it starts; a `World`."""

    @property
    def loop(self) -> VirtualLoop: ...

    @property
    def broker(self) -> Broker: ...

    @property
    def spans(self) -> Spans: ...

    @property
    def settings(self) -> RunnerSettings: ...

    @property
    def notes(self) -> Notes: ...


class Process:
    """One life of one slot. It ends by `die`, by a kill from outside, or by `terminate`."""

    log_class = MemoryLog
    lease_class = MemoryLease
    runner_class = Runner
    clock_class = StoryClock

    def __init__(
        self,
        *,
        slot: str,
        role: str,
        plan: Plan,
        world: Surroundings,
        clock: StoryClock,
        group: Group,
        disk: dict[int, Files],
        is_struck: Callable[["Process", str, str], bool] | None,
        on_death: Callable[["Process", BaseException | None], None],
        on_giving_up: Callable[["Process"], None],
    ) -> None:
        """`is_struck`: see `Watch`; without it nobody watches, which is cheaper."""
        self.slot = slot
        self.role = role
        self.domain = Domain(slot)
        self.began_ms = world.loop.now_ms()
        self.has_drained = False
        """It ended by itself, having given up what it had."""
        self.draining_ms: int | None = None
        """When it was told to end."""
        self.ended_ms: int | None = None
        self._plan = plan
        self._loop = world.loop
        self.broker = world.broker
        self._spans = world.spans
        self._group = group
        self.disk = disk
        self._on_death = on_death
        self._on_giving_up = on_giving_up
        self._member: Member | None = None
        self._terminating = asyncio.Event()
        self._rebalance = asyncio.Event()
        self._reader: Reader | None = None
        self._logs: list[MemoryLog] = []
        self.watch = Watch(world.loop, partial(is_struck, self)) if is_struck else None
        self.lease = self.lease_class(world.loop, world.spans)
        self.clock = clock
        self.runner = self.runner_class(
            topology=self.topology_of(plan),
            log_for=self._watched_log,
            store_for=self.make_store,
            bounds_of=self._bounds_of,
            fenced=plan.fenced,
            before_open=plan.before_open,
            lease=plan.permit(self.lease),
            clock=self.clock,
            control=self,
            observer=world.notes,
            settings=world.settings,
            die=self.die,
        )
        self._loop.start(self.domain, self._guarded(self._run))
        self._loop.start(self.domain, self._guarded(self._beat))

    def die(self, error: BaseException | None) -> None:
        """The process ends here: not one more of its callbacks runs."""
        if not self.domain.is_dead:
            self.ended_ms = self._loop.now_ms()
            self._loop.kill(self.domain)
            self._on_death(self, error)

    def terminate(self) -> None:
        """SIGTERM."""
        self.draining_ms = self.draining_ms or self._loop.now_ms()
        self._terminating.set()
        self._rebalance.set()

    def pause(self, source: TopicPartition) -> None:
        if self._reader is not None:
            self._reader.pause(source)

    def resume(self, source: TopicPartition) -> None:
        if self._reader is not None:
            self._reader.resume(source)

    def heard_ms(self, source: TopicPartition) -> int:
        return self._reader.heard_ms(source, self.clock.now_ms()) if self._reader is not None else 0

    @property
    def is_robbed(self) -> bool:
        """The coordinator has given its partitions away; it may not know yet."""
        return self._member is not None and self._member.is_gone

    @property
    def may_call(self) -> bool:
        """R5, judged from outside: its partitions are its own, or were until a moment ago."""
        if self._member is None or not self._member.is_gone:
            return True
        silent_seconds = self._loop.time() - self._member.last_seen_at
        return silent_seconds < self._spans.session - self._spans.lease_margin

    def points(self) -> list[Point]:
        """How far each of its yields has come, and which wait for provider calls."""
        return self.watch.points(self.runner.gate.open_calls) if self.watch else []

    @property
    def is_committing(self) -> bool:
        are_idle = all(partition.is_idle for partition in self.runner.partitions)
        return not are_idle or any(log.is_committing for log in self._logs)

    def topology_of(self, plan: Plan) -> Topology:
        return self.watch.over(plan.topology) if self.watch else plan.topology

    def make_log(self, partition: int) -> MemoryLog:
        return self.log_class(role=self.role, partition=partition, broker=self.broker)

    def make_store(self, partition: int) -> MemoryStore:
        files = self.disk.setdefault(partition, Files())
        return MemoryStore(role=self.role, partition=partition, files=files, broker=self.broker)

    def push(
        self, records: Collection[InboundRecord], place: TopicPartition, position: int
    ) -> None:
        for record in records:
            self.runner.push(record)

    def _watched_log(self, partition: int) -> MemoryLog:
        log = self.make_log(partition)
        log.watch = self.watch
        log.clock = self.clock
        self._logs.append(log)
        return log

    async def _bounds_of(self, places: Collection[TopicPartition]) -> Bounds:
        await self.broker.round_trip()
        logs = {place: self.broker.log(place) for place in places}
        return {place: (log.begin, log.end) for place, log in logs.items()}

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            self.die(error)

    async def _run(self) -> None:
        await self._plan.start(self.die)
        await self.broker.round_trip()
        member = self._member = self._group.join(self.slot)
        while not self._terminating.is_set():
            partitions = await member.joined
            self._rebalance.clear()
            seeks = await self.runner.partitions_assigned(partitions)
            reader = self._reader = Reader(self.broker)
            reading = [
                asyncio.create_task(self._guarded(partial(work, reader)))
                for work in (partial(self._follow, seeks), self._fetch)
            ]
            if not self._terminating.is_set():
                await self._rebalance.wait()
            self._on_giving_up(self)
            self._reader = None  # what it reads now is pushed in vain
            await self.runner.give_up()
            for task in reading:
                task.cancel()
            reader.close()
            if not self._terminating.is_set():
                self._group.rejoin(member)
        await self._plan.close()
        self.has_drained = True
        self.die(None)

    async def _beat(self) -> None:
        while True:
            if self._member is not None:
                sent_at = self._loop.time()
                await self.broker.round_trip()
                if self._group.heartbeat(self._member):
                    self._rebalance.set()
                self.lease.renew(sent_at)
            await pause(self._spans.heartbeat)

    async def _follow(self, seeks: Mapping[TopicPartition, int], reader: Reader) -> None:
        """A consumer that has begun asks for one source and then for another, in whatever order."""
        for seek in self.broker.in_any_order(seeks.items()):
            await self.broker.round_trip()
            reader.follow([seek])

    async def _fetch(self, reader: Reader) -> None:
        while True:
            try:
                read = await reader.read(_RECORDS_A_READ)
            except OutOfRange as refused:
                where = await self.runner.out_of_range(refused.place, refused.offset)
                reader.seek(refused.place, where)
                continue
            for place, records, position in read:
                self.push(records, place, position)
