"""`World`: roles, slots and what happens to them in virtual time, all from one seed."""

import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from schemas.kafka import Record, TopicPartition
from streams.engine.runner import RunnerSettings
from tests.simulation.broker import Broker
from tests.simulation.clocks import MachineClock, StoryClock
from tests.simulation.disk import Files
from tests.simulation.group import Group
from tests.simulation.loop import Domain, VirtualLoop, pause
from tests.simulation.process import EXPECTED_DEATHS, Notes, Plan, Process
from tests.simulation.spans import USUAL, Spans

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Role:
    """One consumer group, and what each of its processes runs; made anew for every life."""

    name: str
    slots: int
    plan: Callable[[Any, StoryClock], Plan]
    """Given the world and the process's clock."""


class World:
    """Run with `play`; afterwards everything that happened can be read off the broker."""

    partitions = 2
    settings = RunnerSettings(max_open_calls=8, drain_seconds=11.0)

    def __init__(
        self,
        *,
        seed: int,
        roles: Sequence[Role],
        process_class: type[Process] = Process,
        spans: Spans = USUAL,
    ) -> None:
        self.seed = seed
        self.spans = spans
        self.random = random.Random(seed)
        self.loop = VirtualLoop()
        self.broker = Broker(
            now_ms=self.loop.now_ms,
            randomness=self.random,
            transaction_seconds=spans.transaction,
            pause=self.loop.postpone,
        )
        self.notes = Notes()
        self.unexpected: list[BaseException] = []
        self.deaths = 0
        self.chronicle: list[tuple[int, str]] = []
        """When which process began or ended, and how."""
        self.is_struck: Callable[[Process, str, str], bool] | None = None
        """See `Watch`; to be set before anything starts."""
        self.on_giving_up: Callable[[Process], None] = _ignore
        """Told of a process whose partitions are being revoked."""
        self.roles = {role.name: role for role in roles}
        self._process_class = process_class
        self._is_over = False
        self._groups = {
            name: Group(partitions=range(self.partitions), now=self.loop.time, spans=spans)
            for name in self.roles
        }
        self._disks: dict[str, dict[int, Files]] = {}
        self._processes: dict[str, Process] = {}
        self._all: list[Process] = []
        self._clocks: dict[str, MachineClock] = {}
        self._wanted: set[str] = set()

    def play(self, main: Coroutine[Any, Any, T]) -> T:
        """Raises when a process died of something that no rule asks for."""
        try:
            ended = self.loop.run(self._run(main))
        finally:
            self._is_over = True
            self.loop.dispose()
        if self.unexpected:
            raise self.unexpected[0]
        return ended

    @property
    def processes(self) -> list[Process]:
        """Those that run now."""
        return [process for process in self._processes.values() if not process.domain.is_dead]

    @property
    def has_zombies(self) -> bool:
        """Whether somebody still runs whose slot is another's by now."""
        wanted = self._processes.values()
        return any(each not in wanted and not each.domain.is_dead for each in self._all)

    @property
    def lives(self) -> list[Process]:
        """All there were, those that have ended too."""
        return self._all

    def process_in(self, domain: Domain) -> Process:
        return next(process for process in self._all if process.domain is domain)

    def committed_records(self, topic: str) -> list[bytes]:
        """Values of all committed records of a topic, over all partitions."""
        values = []
        for partition in range(self.partitions):
            place = TopicPartition(topic, partition)
            records, _ = self.broker.read_committed(place, 0, 1 << 60)
            values += [record.value for record in records if record.value is not None]
        return values

    async def produce(self, record: Record) -> None:
        await self.broker.produce(record)

    def start(self, role_name: str, slot: str) -> None:
        """A slot is wanted: whatever its process dies of, it is started again."""
        self._wanted.add(slot)
        self._note_life(slot, "starts")
        clock = self._process_class.clock_class(self.clock_of(slot))
        process = self._processes[slot] = self._process_class(
            slot=slot,
            role=role_name,
            plan=self.roles[role_name].plan(self, clock),
            world=self,
            clock=clock,
            group=self._groups[role_name],
            disk=self._disks.setdefault(slot, {}),
            is_struck=self.is_struck,
            on_death=self._on_death,
            on_giving_up=self.on_giving_up,
        )
        self._all.append(process)

    def clock_of(self, slot: str) -> MachineClock:
        return self._clocks.setdefault(slot, MachineClock(self.loop))

    @property
    def is_askew(self) -> bool:
        """Whether somebody has ever set a clock, so that what was told is dated by different ones."""
        return any(clock.was_set for clock in self._clocks.values())

    def retire(self, slot: str) -> list[Process]:
        """The slot is wanted no more; its processes that still run, on whatever machine."""
        self._wanted.discard(slot)
        del self._processes[slot]
        return [each for each in self._all if each.slot == slot and not each.domain.is_dead]

    def replace(self, process: Process) -> None:
        """Its slot is started on another machine, though it may still run."""
        self._disks[process.slot] = {}
        self.start(process.role, process.slot)

    def is_zombie(self, domain: Domain | None) -> bool:
        """Whether it must not call a provider any more."""
        return any(not p.may_call for p in self._all if p.domain is domain)

    def is_robbed(self, domain: Domain | None) -> bool:
        """Whether its partitions are somebody else's."""
        return any(p.is_robbed for p in self._all if p.domain is domain)

    async def _run(self, main: Coroutine[Any, Any, T]) -> T:
        for role in self.roles.values():
            for number in range(role.slots):
                self.start(role.name, f"{role.name}-{number}")
        self.loop.start(None, self._watch_timeouts())
        return await main

    def _on_death(self, process: Process, error: BaseException | None) -> None:
        if self._is_over:
            return
        self.deaths += 1
        self._note_life(process.slot, f"ends: {error!r}" if error else "ends")
        if error is not None and not isinstance(error, EXPECTED_DEATHS):
            self.unexpected.append(error)
        if process.slot in self._wanted and self._processes[process.slot] is process:
            self.loop.start(None, self._restart(process))

    def _note_life(self, slot: str, what: str) -> None:
        self.chronicle.append((self.loop.now_ms(), f"{slot} {what}"))

    async def _restart(self, process: Process) -> None:
        await pause(self.spans.restart)
        if process.slot in self._wanted and self._processes[process.slot] is process:
            self.start(process.role, process.slot)

    async def _watch_timeouts(self) -> None:
        while True:
            await pause(0.5)
            for group in self._groups.values():
                group.expire()
            self.broker.expire_transactions()


def _ignore(process: Process) -> None: ...
