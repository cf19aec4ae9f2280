"""Processes killed with -9: nothing is lost, and what is in doubt was in flight."""

from typing import ClassVar

from proof.faults.base import Fault, Field
from proof.load.plan import LoadPlan


class Kill(Fault):
    name = "kill"
    does = "kill -9 of a worker of any role, at random moments"
    expects = "in doubt only what was in flight, all of it told"
    rounds = 12
    least_seconds: ClassVar[float] = 0.4
    most_seconds: ClassVar[float] = 1.6

    def plan(self, seed: int, first: int) -> LoadPlan:
        # Half of the rounds have no time for the ladder: what is in doubt stays so.
        return LoadPlan(seed=seed, first=first, ttl_seconds=25 if seed % 2 else None)

    async def strike(self, field: Field) -> None:
        while await field.wait(self.least_seconds, self.most_seconds):
            slot = field.any_slot()
            if slot is not None:
                await field.kill(slot)


class KillTwo(Fault):
    name = "kill-two"
    does = "kill -9 of two workers at once, roles in rotation, two slots each"
    expects = "as kill"
    slots: ClassVar[dict[str, int]] = {"decide": 2, "email": 2}

    async def strike(self, field: Field) -> None:
        turn = 0
        while await field.wait(2.0, 4.0):
            roles = [("decide", "email"), ("decide", "decide"), ("email", "email")][turn % 3]
            turn += 1
            for number, role in enumerate(roles):
                victims = [each for each in field.workers.slots if each.role == role]
                if victims:
                    await field.kill(victims[number % len(victims)])
