"""`Fault`: what is done to an installation while there is load; `Field`: where it is done."""

import asyncio
import random
import signal
from collections.abc import Mapping, Sequence
from typing import ClassVar

from proof.load.plan import LoadPlan
from proof.stage import Stage
from proof.workers import Slot


class Field:
    """A stage under load, until `is_over`."""

    def __init__(self, stage: Stage, randomness: random.Random) -> None:
        self.stage = stage
        self.workers = stage.workers
        self.random = randomness
        self.is_over = asyncio.Event()

    async def wait(self, least_seconds: float, most_seconds: float) -> bool:
        """A while that nobody chose; False when the load is over."""
        try:
            seconds = self.random.uniform(least_seconds, most_seconds)
            await asyncio.wait_for(self.is_over.wait(), seconds)
        except TimeoutError:
            return True
        return False

    def any_slot(self, roles: Sequence[str] = ()) -> Slot | None:
        """One that runs and serves, of these roles or of any."""
        running = [each for each in self.workers.slots if not roles or each.role in roles]
        return self.random.choice(running) if running else None

    async def kill(self, slot: Slot) -> None:
        """kill -9; whoever watches starts it again."""
        await self.stage.note_blow(slot.role, "kill", slot)
        self.workers.send(slot, signal.SIGKILL)


class Fault:
    """A fault has no state: one object may strike in many rounds."""

    name: ClassVar[str]
    does: ClassVar[str]
    """In a line."""
    expects: ClassVar[str]
    """What must hold besides all the invariants; and what may be in doubt."""
    rounds: ClassVar[int] = 2
    """In a whole run."""
    slots: ClassVar[Mapping[str, int]] = {}
    """How many a role has, where one is not enough."""
    rest_seconds: ClassVar[float] = 90.0
    """The longest time from the end of the load to rest: a retry waits for half a minute."""

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first)

    async def strike(self, field: Field) -> None:
        """Returns soon after `field.is_over`, with everything mended."""


class Calm(Fault):
    name = "calm"
    does = "nothing: load alone"
    expects = "nothing in doubt, stops within a second"
    rest_seconds = 45.0
