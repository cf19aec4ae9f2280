"""A worker process of the simulator: the engine's `Runner`, a membership, a fetcher, a lease."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Protocol

from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.ports import Lease, RestoreReport, Transaction
from streams.engine.routes import Topology
from streams.engine.runner import Bounds, Runner, RunnerSettings
from tests.simulation.broker import Broker, Fenced
from tests.simulation.disk import Files, MemoryLog, MemoryStore
from tests.simulation.group import SESSION_SECONDS, Group, LostMembership, Member
from tests.simulation.loop import Domain, VirtualLoop

HEARTBEAT_SECONDS = 1.0
EXPECTED_DEATHS = (Fenced, LostMembership)
"""Ends that the rules ask for; a process that dies of anything else has found a bug."""


class MemoryLease:
    """R5: good while the last good heartbeat, by its send time, is younger than the session."""

    margin_seconds = 1.0

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._renewed_at = loop.time()
        self._renewed = asyncio.Event()

    def renew(self, sent_at: float) -> None:
        self._renewed_at = max(self._renewed_at, sent_at)
        self._renewed.set()
        self._renewed.clear()

    def is_good(self) -> bool:
        return self._loop.time() - self._renewed_at < SESSION_SECONDS - self.margin_seconds

    async def wait_until_good(self) -> None:
        while not self.is_good():
            await self._renewed.wait()


class Notes:
    """An observer that counts, for tests to look at."""

    def __init__(self) -> None:
        self.dead_letters: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        self.recreated: list[TopicPartition] = []
        self.lost: list[TopicPartition] = []
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
        self.lost.append(source)


class Plan(Protocol):
    """What a process runs, and what lives beside it; see `streams.worker.Plan`."""

    @property
    def topology(self) -> Topology: ...

    def permit(self, lease: Lease) -> Lease: ...

    async def start(self, die: Callable[[BaseException], None]) -> None: ...

    async def before_open(self, numbers: Collection[int]) -> None: ...

    async def close(self) -> None: ...


class Process:
    """One life of one slot. It ends by `die`, by a kill from outside, or by `terminate`."""

    log_class = MemoryLog
    lease_class = MemoryLease
    runner_class = Runner

    def __init__(
        self,
        *,
        slot: str,
        role: str,
        plan: Plan,
        loop: VirtualLoop,
        broker: Broker,
        group: Group,
        disk: dict[int, Files],
        notes: Notes,
        settings: RunnerSettings,
        on_death: Callable[["Process", BaseException | None], None],
    ) -> None:
        self.slot = slot
        self.role = role
        self.domain = Domain(slot)
        self.has_drained = False
        """It ended by itself, having given up what it had."""
        self.ended_at: float | None = None
        self._plan = plan
        self._loop = loop
        self.broker = broker
        self._group = group
        self.disk = disk
        self._on_death = on_death
        self._member: Member | None = None
        self._terminating = asyncio.Event()
        self._rebalance = asyncio.Event()
        self._fetch = asyncio.Event()
        self._paused: set[TopicPartition] = set()
        self.lease = self.lease_class(loop)
        self.runner = self.runner_class(
            topology=plan.topology,
            log_for=self.make_log,
            store_for=self.make_store,
            bounds_of=self._bounds_of,
            before_open=plan.before_open,
            lease=plan.permit(self.lease),
            clock=loop,
            control=self,
            observer=notes,
            settings=settings,
            die=self.die,
        )
        loop.start(self.domain, self._guarded(self._run))
        loop.start(self.domain, self._guarded(self._beat))

    def die(self, error: BaseException | None) -> None:
        """The process ends here: not one more of its callbacks runs."""
        if not self.domain.is_dead:
            self.ended_at = self._loop.time()
            self._loop.kill(self.domain)
            self._on_death(self, error)

    def terminate(self) -> None:
        """SIGTERM."""
        self._terminating.set()
        self._rebalance.set()

    def pause(self, source: TopicPartition) -> None:
        self._paused.add(source)

    def resume(self, source: TopicPartition) -> None:
        self._paused.discard(source)
        self._fetch.set()

    @property
    def is_zombie(self) -> bool:
        """The coordinator has given its partitions away and it does not know yet."""
        return self._member is not None and self._member.is_gone

    def make_log(self, partition: int) -> MemoryLog:
        return self.log_class(role=self.role, partition=partition, broker=self.broker)

    def make_store(self, partition: int) -> MemoryStore:
        files = self.disk.setdefault(partition, Files())
        return MemoryStore(role=self.role, partition=partition, files=files, broker=self.broker)

    async def _bounds_of(self, places: Collection[TopicPartition]) -> Bounds:
        await self.broker.round_trip()
        return {place: (0, self.broker.log(place).end) for place in places}

    def push(self, records: list[InboundRecord], place: TopicPartition, position: int) -> None:
        for record in records:
            self.runner.push(record)

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
            fetching = asyncio.create_task(self._guarded(partial(self._fetch_all, seeks)))
            if not self._terminating.is_set():
                await self._rebalance.wait()
            await self.runner.give_up()
            fetching.cancel()
            self._paused.clear()
            if not self._terminating.is_set():
                self._group.rejoin(member)
        await self._plan.close()
        self.has_drained = True
        self.die(None)

    async def _beat(self) -> None:
        while True:
            sent_at = self._loop.time()
            await self.broker.round_trip()
            if self._member is not None:
                if self._group.heartbeat(self._member):
                    self._rebalance.set()
                self.lease.renew(sent_at)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _fetch_all(self, positions: dict[TopicPartition, int]) -> None:
        for place in positions:
            self.broker.log(place).readers.append(self._fetch)
        self._fetch.set()
        while True:
            await self._fetch.wait()
            self._fetch.clear()
            await self.broker.round_trip()
            for place, start in positions.items():
                if place not in self._paused:
                    records, positions[place] = self.broker.read_committed(place, start, 100)
                    self.push(records, place, positions[place])
                    if len(records) == 100:
                        self._fetch.set()
