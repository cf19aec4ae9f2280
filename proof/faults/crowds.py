"""Broadcasts to thousands: turns, batches and restores are as long as they are anywhere."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from agents.send import GROUP_MEMBERS
from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan, doing
from sandbox.faults import FaultRule

_IN_DOUBT = GROUP_MEMBERS
"""Fewer would bind less: what a sender works on together may exceed the bound alone."""
_LARGE = 100
"""Recipients of a request: as many as even a short turn of a broadcast has."""
_SLOWLY = FaultRule(effect="delay", provider="sendgrid", delay_seconds=(1.0, 2.0))
_VICTIMS = ("decide", "email", "push", "in_app")


class KillInACrowd(Fault):
    name = "kill-in-a-crowd"
    does = (
        "kill -9 every few seconds, mostly with provider calls open, while broadcasts to thousands are "
        "under way: many turns a partition, e-mails by the hundred, whose provider answers late"
    )
    expects = (
        "as kill, and of each type no more in doubt than the lives that ended may have intended"
    )
    rounds = 3
    least_blows = 5
    settings: ClassVar[Mapping[str, Any]] = {
        "workers": {"in_doubt": _IN_DOUBT},
        "providers": {"fcm": {"rate": "1500/s"}},
    }

    def plan(self, seed: int, first: int) -> LoadPlan:
        steps = doing(announce=5)
        return LoadPlan(
            seed=seed,
            first=first,
            seconds=45.0,
            rate=5.0,
            people=12_000,
            hot_share=0.5,
            steps=steps,
        )

    async def strike(self, field: Field) -> None:
        await field.stage.sky(_SLOWLY)
        while await field.wait(2.0, 4.0):
            slot = await field.victim(_VICTIMS)
            if slot is not None:
                await field.kill(slot)
        await field.stage.sky()

    def judge(self, field: Field) -> Iterator[Violation]:
        """Who is killed before it has told of all that it found leaves that to the next."""
        yield from super().judge(field)
        left = [Counter(each.type for each in doubts) for doubts in field.left_in_doubt()]
        most = max((count for told in left for count in told.values()), default=0)
        untold: Counter[tuple[str, str]] = Counter()
        for blow, told in zip(field.blows, left, strict=True):
            for kind in sorted(set().union(*left)):
                untold[blow.role, kind] += field.stage.config.runner(blow.role).max_exposed
                if told[kind] > untold[blow.role, kind]:
                    words = f"{told[kind]} in doubt of type {kind} after a kill of {blow.role}"
                    yield Violation(PROMISE, f"{words}, {untold[blow.role, kind]} could be left")
                untold[blow.role, kind] -= told[kind]
        largest = field.seen.largest_request("sendgrid")
        field.notes.append(
            f"up to {most} of one type in doubt after a kill, {largest} mails a request"
        )
        if largest < _LARGE:
            yield Violation(PROMISE, f"no large request: {largest} mails at the most")
