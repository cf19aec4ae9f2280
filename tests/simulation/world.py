"""`World`: roles, slots, faults and load in one virtual hour, all from one seed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from schemas.kafka import Record, TopicPartition
from streams.engine.runner import RunnerSettings
from tests.simulation.broker import Broker
from tests.simulation.disk import Files
from tests.simulation.group import Group
from tests.simulation.loop import Domain, VirtualLoop
from tests.simulation.process import EXPECTED_DEATHS, Notes, Plan, Process
from tests.simulation.provider import Provider


@dataclass(frozen=True, slots=True)
class Role:
    """One consumer group, and what each of its processes runs; made anew for every life."""

    name: str
    slots: int
    plan: Callable[["World"], Plan]


@dataclass(frozen=True, slots=True)
class Faults:
    """How many of each blow are struck, at random moments while there is load."""

    kills: int = 0
    suspensions: int = 0
    rebalances: int = 0
    clean_restarts: int = 0
    wipes: int = 0
    stale_disks: int = 0


class World:
    """Run with `play`; afterwards everything that happened can be read off the broker and provider."""

    partitions = 2
    restart_seconds = 1.0
    settings = RunnerSettings(max_open_calls=8, drain_seconds=11.0)

    def __init__(
        self, *, seed: int, roles: Sequence[Role], process_class: type[Process] = Process
    ) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.loop = VirtualLoop()
        self.broker = Broker(now_ms=self.loop.now_ms, randomness=self.random)
        self.provider = Provider(loop=self.loop, randomness=self.random)
        self.provider.is_zombie = self._is_zombie
        self.notes = Notes()
        self.unexpected: list[BaseException] = []
        self.deaths = 0
        self._is_over = False
        self._roles = {role.name: role for role in roles}
        self._process_class = process_class
        self._groups = {
            name: Group(partitions=range(self.partitions), now=self.loop.time)
            for name in self._roles
        }
        self._disks: dict[str, dict[int, Files]] = {}
        self._processes: dict[str, Process] = {}
        self._all: list[Process] = []
        self._wanted: set[str] = set()

    def play(
        self,
        load: Callable[["World"], Awaitable[None]],
        *,
        faults: Faults,
        fault_seconds: float,
        calm_seconds: float = 0.2,
        settled: Callable[["World"], bool],
        limit_seconds: float = 4000.0,
    ) -> None:
        """Strike the faults during the load, after a while of calm, then let the world come to
        rest; raises when it does not, or when a process died of something no rule asks for."""

        async def main() -> None:
            for role in self._roles.values():
                for number in range(role.slots):
                    self._start(role.name, f"{role.name}-{number}")
            watch = asyncio.create_task(self._watch_timeouts())
            blows = asyncio.create_task(self._strike(faults, calm_seconds, fault_seconds))
            await load(self)
            await blows
            while not settled(self):
                if self.loop.time() > limit_seconds:
                    raise AssertionError(f"seed {self.seed}: not settled in {limit_seconds} s")
                await asyncio.sleep(1.0)
            watch.cancel()

        try:
            self.loop.run(main())
        finally:
            self._is_over = True
            self.loop.dispose()
        if self.unexpected:
            raise self.unexpected[0]

    def committed_records(self, topic: str) -> list[bytes]:
        """Values of all committed records of a topic, over all partitions."""
        values = []
        for partition in range(self.partitions):
            place = TopicPartition(topic, partition)
            records, _ = self.broker.read_committed(place, 0, 1 << 60)
            values += [record.value for record in records if record.value is not None]
        return values

    @property
    def processes(self) -> list[Process]:
        """Those that run now."""
        return [process for process in self._processes.values() if not process.domain.is_dead]

    @property
    def lives(self) -> list[Process]:
        """All there were, those that have ended too."""
        return self._all

    async def produce(self, record: Record) -> None:
        await self.broker.produce(record)

    def _start(self, role_name: str, slot: str) -> None:
        role = self._roles[role_name]
        self._wanted.add(slot)

        process = self._processes[slot] = self._process_class(
            slot=slot,
            role=role_name,
            plan=role.plan(self),
            loop=self.loop,
            broker=self.broker,
            group=self._groups[role_name],
            disk=self._disks.setdefault(slot, {}),
            notes=self.notes,
            settings=self.settings,
            on_death=self._on_death,
        )
        self._all.append(process)

    def _is_zombie(self, domain: Domain | None) -> bool:
        return any(p.is_zombie for p in self._all if p.domain is domain)

    def _on_death(self, process: Process, error: BaseException | None) -> None:
        if self._is_over:
            return
        self.deaths += 1
        if error is not None and not isinstance(error, EXPECTED_DEATHS):
            self.unexpected.append(error)
        if process.slot in self._wanted:
            self.loop.start(None, self._restart(process))

    async def _restart(self, process: Process) -> None:
        await asyncio.sleep(self.restart_seconds)
        if process.slot in self._wanted and self._processes[process.slot] is process:
            self._start(process.role, process.slot)

    async def _watch_timeouts(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            for group in self._groups.values():
                group.expire()
            self.broker.expire_transactions()

    async def _strike(self, faults: Faults, calm_seconds: float, seconds: float) -> None:
        blows: list[Callable[[], Awaitable[None]]] = [
            *[self._kill] * faults.kills,
            *[self._suspend] * faults.suspensions,
            *[self._rebalance] * faults.rebalances,
            *[self._terminate] * faults.clean_restarts,
            *[self._wipe] * faults.wipes,
            *[self._restore_stale_disk] * faults.stale_disks,
        ]
        moments = sorted(self.random.uniform(calm_seconds, seconds) for _ in blows)
        self.random.shuffle(blows)
        struck = []
        for moment, blow in zip(moments, blows, strict=True):
            await asyncio.sleep(max(0.0, moment - self.loop.time()))
            struck.append(asyncio.ensure_future(blow()))
        await asyncio.gather(*struck)

    def _victim(self) -> Process | None:
        alive = self.processes
        return self.random.choice(alive) if alive else None

    async def _kill(self) -> None:
        victim = self._victim()
        if victim is not None:
            victim.die(None)

    async def _suspend(self) -> None:
        victim = self._victim()
        if victim is not None and not victim.domain.is_suspended:
            self.loop.suspend(victim.domain)
            await asyncio.sleep(self.random.choice((0.5, 3.0, 8.0, 15.0)))
            self.loop.wake(victim.domain)

    async def _terminate(self) -> None:
        victim = self._victim()
        if victim is not None:
            victim.terminate()

    async def _rebalance(self) -> None:
        """A worker is added, works for a while, and is scaled down again."""
        role = self.random.choice(list(self._roles))
        slot = f"{role}-extra-{self.random.randrange(1 << 30)}"
        self._start(role, slot)
        await asyncio.sleep(self.random.uniform(2, 15))
        self._wanted.discard(slot)
        process = self._processes.pop(slot)
        if not process.domain.is_dead:
            process.terminate()
        await asyncio.sleep(20.0)  # longer than any drain, and than the session of a static member
        if not process.domain.is_dead:
            process.die(None)

    async def _wipe(self) -> None:
        victim = self._victim()
        if victim is not None:
            victim.die(None)
            self._disks[victim.slot].clear()

    async def _restore_stale_disk(self) -> None:
        victim = self._victim()
        if victim is None:
            return
        old = {number: files.copy() for number, files in self._disks[victim.slot].items()}
        await asyncio.sleep(self.random.uniform(1, 5))
        current = self._processes.get(victim.slot)
        if current is not None and not current.domain.is_dead:
            current.die(None)
            self._disks[victim.slot].clear()
            self._disks[victim.slot].update(old)
