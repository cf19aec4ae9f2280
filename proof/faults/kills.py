"""Processes killed with -9: nothing is lost, and what is in doubt was in flight."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from proof.checker.verdict import Violation
from proof.doom import DEATHS, deaths, install_next, lives_of, points_for
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from proof.workers import Slot
from streams.topology import ROLES

_LIFE_SECONDS = 4.0
"""Of one that serves: what waited for it has been taken by then."""


_CHOSEN = 0.75
_LEAST_DEATHS = 8
"""At a yield, in a round."""


class Kill(Fault):
    name = "kill"
    does = (
        "kill -9 of a worker of any role, about once a second, mostly with provider calls open, now and "
        "then whether it serves yet or not"
    )
    expects = "in doubt only what was in flight, all of it told"
    rounds = 12
    least_blows = 3

    def plan(self, seed: int, first: int) -> LoadPlan:
        # Half of the rounds have no time for the ladder: what is in doubt stays so.
        ttl_seconds = 45 if seed % 2 else None
        return LoadPlan(seed=seed, first=first, seconds=40.0, ttl_seconds=ttl_seconds)

    async def strike(self, field: Field) -> None:
        while await field.wait(0.6, 1.8):
            is_chosen = field.random.random() < _CHOSEN
            slot = await field.victim() if is_chosen else field.anyone()
            if slot is not None:
                await field.kill(slot)


class KillTwo(Fault):
    name = "kill-two"
    does = "kill -9 of two workers at once, roles in rotation, two slots each"
    expects = "as kill"
    least_blows = 6
    slots: ClassVar[dict[str, int]] = {"decide": 2, "email": 2}

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=40.0)

    async def strike(self, field: Field) -> None:
        pairs = [("decide", "email"), ("decide", "decide"), ("email", "email")]
        for first, second in itertools.cycle(pairs):
            one = other = None
            while one is None or other is None:
                if not await field.wait(1.5, 3.0):
                    return
                one = await field.victim([first])
                others = [each for each in field.workers.slots if each.role == second]
                other = next((each for each in others if each != one), None)
            await field.kill(one, other)


class KillAtYields(Fault):
    name = "kill-at-yields"
    does = (
        "each life of a worker ends at one moment of one named yield, by its own kill -9: that which "
        "the fewest lives before had; after seconds without it by another's"
    )
    expects = "as kill"
    rounds = 10
    least_blows = 10

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=60.0)

    async def strike(self, field: Field) -> None:
        stage, workers = field.stage, field.workers
        told = before = len(deaths(stage.folder / DEATHS))
        dooms = {
            role: partial(install_next, role, seed=field.plan.seed, folder=stage.folder)
            for role in ROLES
        }
        for role, doom in dooms.items():
            workers.prepare(role, doom)
        for slot in workers.slots:
            await field.kill(slot)
        serves_since: dict[tuple[Slot, int], float] = {}
        while await field.wait(0.2, 0.4):
            told = self._note_deaths(field, told)
            for slot in workers.slots:
                if await asyncio.to_thread(workers.is_ready, slot):
                    life = slot, len(lives_of(slot.role, stage.folder))
                    since = serves_since.setdefault(life, time.monotonic())
                    if time.monotonic() - since > _LIFE_SECONDS:
                        await field.kill(slot)  # whose moment does not come: another's may
        for role, doom in dooms.items():
            workers.forget(role, doom)
        for slot in workers.slots:
            await field.kill(slot)
        self._note_deaths(field, told)
        field.deaths = len(deaths(stage.folder / DEATHS)) - before
        met = {(each.role, each.point) for each in deaths(stage.folder / DEATHS)}
        there_are = sum(len(points_for(role, stage.config)) for role in ROLES)
        lives = sum(len(set(lives_of(role, stage.folder))) for role in ROLES)
        field.notes.append(f"so far died at {len(met)} of {there_are} points, {lives} were tried")

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        if field.deaths < _LEAST_DEATHS:
            yield Violation(
                PROMISE, f"only {field.deaths} died at the yield that they were to die at"
            )

    def _note_deaths(self, field: Field, told: int) -> int:
        """Whoever killed itself has written down how many calls it had open."""
        found = deaths(field.stage.folder / DEATHS)
        for each in found[told:]:
            field.stage.note_told_blow(each.role, "kill", each.open_calls)
        return len(found)
