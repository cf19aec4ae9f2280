"""Workers that are stopped, suspended, or come and go: no crash, so nothing may be in doubt."""

import signal
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import KINDS, LoadPlan, doing
from streams.topology import ROLES
from streams.worker import EXIT_LOST

SUSPENDED_SECONDS = (9.0, 12.0)
"""Longer than a session, by which time another has the partitions, or they are taken away."""
_BINDING_SHARE = 0.8
"""A limit of which providers saw less within every second has held nobody back."""


class RollingRestart(Fault):
    name = "rolling-restart"
    does = "SIGTERM to one worker after the other, each started again"
    expects = "nothing in doubt"
    least_blows = len(ROLES)

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=70.0)

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
    does = (
        "a second worker of a role leaves, and joins again after seconds, over and over, while "
        "there is more e-mail than its provider may be asked for"
    )
    expects = "nothing in doubt, no rate exceeded"
    least_blows = 4
    slots: ClassVar[dict[str, int]] = {"decide": 2, "email": 2}

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(
            seed=seed, first=first, seconds=40.0, rate=60.0, people=120, kinds=KINDS | {"order": 20}
        )

    async def strike(self, field: Field) -> None:
        second = {role: field.stage.of(role)[1] for role in self.slots}
        is_in = dict.fromkeys(second, True)
        while await field.wait(3.0, 7.0):
            role = field.random.choice(list(second))
            if is_in[role]:
                await field.stage.note_blow(role, "stop", second[role])
                await field.workers.stop(second[role])
            else:
                await field.stage.note_blow(role, "join")
                field.workers.start(second[role])
            is_in[role] = not is_in[role]
        for role, slot in second.items():
            if not is_in[role]:
                field.workers.start(slot)
        await field.workers.until_ready(list(second.values()))

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        allowed, _ = field.stage.rules.rates["sendgrid"]
        busiest = field.seen.busiest_second("sendgrid")
        field.notes.append(f"at most {busiest} e-mails in a second, {allowed} allowed")
        if busiest < _BINDING_SHARE * allowed:
            yield Violation(PROMISE, f"no limit held anybody back: {busiest} of {allowed} a second")


class Suspended(Fault):
    name = "suspended"
    does = "SIGSTOP for longer than a session, then SIGCONT: a zombie; two slots a role"
    expects = "no write by the zombie, nothing sent twice; in doubt only its calls in flight, told"
    slots: ClassVar[dict[str, int]] = {"decide": 2, "email": 2, "push": 2}
    exits = (EXIT_LOST,)
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

    def judge(self, field: Field) -> Iterator[Violation]:
        """The last may have been woken early, when the load was over."""
        yield from super().judge(field)
        lost_by = Counter(slot.role for slot, code in field.exits if code == EXIT_LOST)
        lost = (lost_by & Counter(each.role for each in field.blows)).total()
        field.notes.append(f"{lost} lost what they had")
        if lost < len(field.blows) - 1:
            words = f"of {len(field.blows)} suspensions {lost} were longer than a session"
            yield Violation(PROMISE, words)


class OptOutBesideABacklog(Fault):
    name = "opt-out-in-a-backlog"
    does = "each role in turn is away for 12 s, and people opt out of what waits for it"
    expects = "who opted out meanwhile is not reached when it is back, and nothing is in doubt"
    least_blows = len(ROLES)

    def plan(self, seed: int, first: int) -> LoadPlan:
        steps = doing(refuse=40, consent=20)
        return LoadPlan(seed=seed, first=first, seconds=100.0, rate=20.0, steps=steps)

    async def strike(self, field: Field) -> None:
        roles = list(ROLES)
        field.random.shuffle(roles)
        for role in roles:
            if not await field.wait(1.0, 3.0):
                break
            (slot,) = field.stage.of(role)
            await field.stage.note_blow(role, "stop", slot)
            await field.workers.stop(slot)
            await field.wait(12.0, 13.0)
            field.workers.start(slot)
        await field.workers.until_ready(field.stage.slots)

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        stopped = len(field.seen.overtaken())
        field.notes.append(f"{stopped} were stopped after they had been queued")
        if not stopped:
            yield Violation(PROMISE, "nobody has opted out of what waited")
