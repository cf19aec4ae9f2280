"""Processes killed with -9: nothing is lost, and what is in doubt was in flight."""

import asyncio
import itertools
import signal
from functools import partial
from typing import ClassVar

from proof.checker.ledgers import LEDGER
from proof.doom import deaths, install_anywhere
from proof.faults.base import Fault, Field
from proof.load.plan import LoadPlan
from proof.worker_process import as_it_is
from streams.topology import ROLES

_LIFE_SECONDS = 4.0


class Kill(Fault):
    name = "kill"
    does = "kill -9 of a worker of any role, about once a second, mostly with provider calls open"
    expects = "in doubt only what was in flight, all of it told"
    rounds = 12

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


class KillAtYields(Fault):
    name = "kill-at-yields"
    does = "each life of a worker ends at some moment of some named yield, by its own kill -9"
    expects = "as kill"
    rounds = 4

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=40.0)

    async def strike(self, field: Field) -> None:
        stage, workers = field.stage, field.workers
        report, ledger = stage.folder / "deaths.jsonl", stage.evidence / LEDGER
        known, told = len(deaths(report)), len(workers.exits)
        for role in ROLES:
            seed = field.random.randrange(10**6)
            doom = partial(install_anywhere, role, seed=seed, report=report, ledger=ledger)
            workers.prepare(role, doom)
        for slot in workers.slots:
            await field.kill(slot)
        next_at = asyncio.get_running_loop().time() + _LIFE_SECONDS
        while await field.wait(0.05, 0.1):
            for slot, code in workers.exits[told:]:
                if code == -signal.SIGKILL:
                    await stage.note_blow(slot.role, "kill")
            told = len(workers.exits)
            if asyncio.get_running_loop().time() > next_at:
                next_at += _LIFE_SECONDS
                victim = await field.victim()
                if victim is not None:  # whose moment does not come: another life has another
                    workers.send(victim, signal.SIGKILL)
        for role in ROLES:
            workers.prepare(role, as_it_is)
        for slot in workers.slots:
            await field.kill(slot)
        points = {(each.role, each.point) for each in deaths(report)[known:]}
        field.notes.append(f"{len(points)} different points")
