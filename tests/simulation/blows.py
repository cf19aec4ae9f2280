"""What can happen to a process or to its disk, whoever chooses the moment."""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.disk import older
from tests.simulation.loop import pause
from tests.simulation.process import Process
from tests.simulation.world import World


class Blows:
    """Each falls at once; what follows from it later, follows by itself."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._outside = contextvars.copy_context()
        self._visits = 0

    def kill(self, process: Process) -> None:
        process.die(None)

    def terminate(self, process: Process) -> None:
        """SIGTERM: it drains, and is started again."""
        process.terminate()

    def suspend(
        self, process: Process, seconds: float, on_waking: Callable[[], None] | None = None
    ) -> None:
        """SIGSTOP, and SIGCONT: beyond the session it wakes as a zombie."""

        def wake() -> None:
            if on_waking is not None:
                on_waking()
            self._world.loop.wake(process.domain)

        self._world.loop.suspend(process.domain)
        self._later(seconds, wake)

    def rob(
        self, process: Process, seconds: float, on_waking: Callable[[], None] | None = None
    ) -> None:
        """While it is suspended, its slot is started on another machine; then it wakes."""
        self._later(0.05, self._world.replace, process)
        self.suspend(process, seconds, on_waking)

    def cut_off(self, process: Process, seconds: float) -> None:
        """It reaches no broker, and providers as ever: beyond the session it goes on as a zombie."""
        self._world.loop.cut_off(process.domain, seconds)

    def wipe(self, process: Process) -> None:
        """It dies, and its disk with it."""
        process.die(None)
        process.disk.clear()

    def age(self, process: Process, share: float) -> None:
        """It dies, and comes back with a copy from this far in its stores' history."""
        process.die(None)
        for partition, files in process.disk.items():
            files.take(older(files, share, process.role, partition, self._world.broker))

    def visit(self, role: str, seconds: float) -> None:
        """A worker is added, works for a while, and is scaled down again."""
        self._visits += 1
        slot = f"{role}-extra-{self._visits}"
        self._world.start(role, slot)
        self._later(seconds, self._leave, slot)

    def _leave(self, slot: str) -> None:
        world = self._world
        for process in world.retire(slot):
            process.terminate()
            # Longer than any drain, and than the session of a static member.
            bound = world.settings.drain_seconds + world.settings.cut_grace_seconds + 4.0
            self._later(bound, process.die, None)

    def _later(self, seconds: float, what: Callable[..., Any], *args: Any) -> None:
        self._world.loop.call_later(seconds, what, *args, context=self._outside)


@dataclass(frozen=True, slots=True)
class Faults:
    """How many of each blow are struck, at random moments while there is load."""

    kills: int = 0
    suspensions: int = 0
    rebalances: int = 0
    clean_restarts: int = 0
    wipes: int = 0
    stale_disks: int = 0


async def strike_at_random(world: World, faults: Faults, *, seconds: float) -> None:
    """Each at whatever process runs at its moment; the first after some calm."""
    blows, random = Blows(world), world.random

    def suspend(victim: Process) -> None:
        if not victim.domain.is_suspended:
            blows.suspend(victim, random.choice((0.5, 3.0, 8.0, 15.0)))

    def visit(victim: Process) -> None:
        blows.visit(random.choice(list(world.roles)), random.uniform(2, 15))

    def age(victim: Process) -> None:
        blows.age(victim, random.random())

    kinds: list[Callable[[Process], None]] = [
        *[blows.kill] * faults.kills,
        *[suspend] * faults.suspensions,
        *[visit] * faults.rebalances,
        *[blows.terminate] * faults.clean_restarts,
        *[blows.wipe] * faults.wipes,
        *[age] * faults.stale_disks,
    ]
    moments = sorted(random.uniform(0.2, seconds) for _ in kinds)
    random.shuffle(kinds)
    for moment, strike in zip(moments, kinds, strict=True):
        await pause(max(0.0, moment - world.loop.time()))
        if world.processes:
            strike(random.choice(world.processes))
