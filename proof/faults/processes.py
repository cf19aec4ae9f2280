"""Workers that are stopped, suspended, or come and go: no crash, so nothing may be in doubt."""

import signal
from typing import ClassVar

from proof.faults.base import Fault, Field
from proof.load.plan import LoadPlan, doing
from streams.topology import ROLES

SUSPENDED_SECONDS = (9.0, 12.0)
"""Longer than a session, by which time another has the partitions, or they are taken away."""


class RollingRestart(Fault):
    name = "rolling-restart"
    does = "SIGTERM to one worker after the other, each started again"
    expects = "nothing in doubt"

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=25.0)

    async def strike(self, field: Field) -> None:
        roles = list(ROLES)
        field.random.shuffle(roles)
        for role in roles:
            if not await field.wait(0.5, 2.0):
                return
            for slot in field.stage.of(role):
                await field.until_busy(slot)
                await field.stage.note_blow(role, "stop", slot)
                await field.workers.stop(slot)
                field.workers.start(slot)
            await field.workers.until_ready(field.stage.of(role))


class JoinAndLeave(Fault):
    name = "join-and-leave"
    does = "a second worker of a role joins, and leaves after seconds, over and over"
    expects = "nothing in doubt, no rate exceeded"
    slots: ClassVar[dict[str, int]] = {"decide": 2, "email": 2}

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=40.0)

    async def strike(self, field: Field) -> None:
        second = {role: field.stage.of(role)[1] for role in self.slots}
        is_in = dict.fromkeys(second, True)
        while await field.wait(3.0, 7.0):
            role = field.random.choice(list(second))
            if is_in[role]:
                await field.stage.note_blow(role, "stop", second[role])
                await field.workers.stop(second[role])
            else:
                field.workers.start(second[role])
            is_in[role] = not is_in[role]
        for role, slot in second.items():
            if not is_in[role]:
                field.workers.start(slot)
        await field.workers.until_ready(list(second.values()))


class Suspended(Fault):
    name = "suspended"
    does = "SIGSTOP for longer than a session, then SIGCONT: a zombie; two slots a role"
    expects = "no write and no call by the zombie; in doubt only its calls in flight, told"
    slots: ClassVar[dict[str, int]] = {"decide": 2, "email": 2, "push": 2}
    stop_ms = 15_000

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=45.0)

    async def strike(self, field: Field) -> None:
        while await field.wait(1.0, 3.0):
            slot = await field.victim(list(self.slots))
            if slot is None:
                continue
            await field.stage.note_blow(slot.role, "suspend", slot)
            field.workers.send(slot, signal.SIGSTOP)
            await field.wait(*SUSPENDED_SECONDS)
            field.workers.send(slot, signal.SIGCONT)


class OptOutBesideABacklog(Fault):
    name = "opt-out-in-a-backlog"
    does = "a role is away for 12 s, and people opt out of what waits for it"
    expects = "who opted out meanwhile is not reached when it is back, and nothing is in doubt"

    def plan(self, seed: int, first: int) -> LoadPlan:
        steps = doing(refuse=40, consent=2)
        return LoadPlan(seed=seed, first=first, seconds=25.0, steps=steps)

    async def strike(self, field: Field) -> None:
        role = ("email", "decide", "push")[len(field.stage.circumstances.blows) % 3]
        await field.wait(1.0, 3.0)
        await field.stage.note_blow(role, "stop")
        for slot in field.stage.of(role):
            await field.workers.stop(slot)
        await field.wait(12.0, 13.0)
        for slot in field.stage.of(role):
            field.workers.start(slot)
        await field.workers.until_ready(field.stage.of(role))
