"""Processes killed with -9: nothing is lost, and what is in doubt was in flight."""

import itertools
from typing import ClassVar

from proof.faults.base import Fault, Field
from proof.load.plan import LoadPlan


class Kill(Fault):
    name = "kill"
    does = "kill -9 of a worker of any role, about once a second, mostly with provider calls open"
    expects = "in doubt only what was in flight, all of it told"
    rounds = 12
    lag_ms = 45_000  # a sold phone is known of after three steps, each of which may be struck

    def plan(self, seed: int, first: int) -> LoadPlan:
        # Half of the rounds have no time for the ladder: what is in doubt stays so.
        ttl_seconds = 45 if seed % 2 else None
        return LoadPlan(seed=seed, first=first, seconds=40.0, ttl_seconds=ttl_seconds)

    async def strike(self, field: Field) -> None:
        while await field.wait(0.6, 1.8):
            slot = await field.victim()
            if slot is not None:
                await field.kill(slot)


class KillTwo(Fault):
    name = "kill-two"
    does = "kill -9 of two workers at once, roles in rotation, two slots each"
    expects = "as kill"
    slots: ClassVar[dict[str, int]] = {"decide": 2, "email": 2}

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=30.0)

    async def strike(self, field: Field) -> None:
        pairs = [("decide", "email"), ("decide", "decide"), ("email", "email")]
        for first, second in itertools.cycle(pairs):
            if not await field.wait(1.5, 3.0):
                return
            victims = [await field.victim([first])]
            others = [each for each in field.workers.slots if each.role == second]
            victims += [each for each in others if each not in victims][:1]
            for slot in filter(None, victims):
                await field.kill(slot)
