"""Providers that do not behave: each storm is over after seconds, and comes again."""

from collections.abc import Sequence
from typing import ClassVar

from proof.faults.base import Fault, Field
from proof.load.plan import LoadPlan
from sandbox.faults import FaultRule

CHANNELS = ("push", "email", "sms")


class ProviderStorm(Fault):
    """`rules` are in force for all providers, as are those that lie in wait between two storms."""

    rules: ClassVar[Sequence[FaultRule]]
    effects: ClassVar[Sequence[str]]
    """How the checker is told of it; see `proof.checker.troubles`."""

    def plan(self, seed: int, first: int) -> LoadPlan:
        # No ladder may last for longer than a round: its third step takes ten minutes.
        return LoadPlan(seed=seed, first=first, seconds=25.0, ttl_seconds=75 if seed % 2 else 40)

    async def strike(self, field: Field) -> None:
        while await field.wait(0.5, 2.0):
            async with field.storm(CHANNELS, self.effects, *self.rules):
                await field.wait(3.0, 6.0)


class Throttled(ProviderStorm):
    name = "429"
    does = "every provider answers 429 for seconds, half of the time with Retry-After"
    expects = "nothing lost, no attempt consumed, nothing in doubt"
    rules = (
        FaultRule(effect="answer", code="429", retry_after_seconds=1.0, share=0.5),
        FaultRule(effect="answer", code="429"),
    )
    effects = ("throttle",)


class Failing(ProviderStorm):
    name = "500-and-503"
    does = "providers answer 500 or 503 for seconds; of a third nobody knows whether they were sent"
    expects = "nothing lost; in doubt only what may have been sent, all of it told"
    rules = (
        FaultRule(effect="answer", code="503", share=0.3),
        FaultRule(effect="answer", code="500", share=0.4),
        FaultRule(effect="answer", code="500", accept=True, share=0.5),
    )
    effects = ("lose",)


class LostReplies(ProviderStorm):
    name = "lost-replies"
    does = "half of the messages are accepted and their connections reset before the reply"
    expects = "exactly these in doubt: sent again only where the type asks for it, and told"
    rules = (FaultRule(effect="drop", share=0.5, delay_seconds=(0.0, 0.2)),)
    effects = ("lose",)


class Refused(ProviderStorm):
    name = "refused"
    does = "providers reset connections before they have read anything"
    expects = "nothing lost"
    rules = (FaultRule(effect="refuse", share=0.8),)
    effects = ("lose",)


class Hanging(ProviderStorm):
    name = "half-open"
    does = "a tenth of the messages is accepted and never answered, a tenth answered by dribbles"
    expects = "in doubt once the call has timed out, and told; the other channels do not wait"
    rules = (
        FaultRule(effect="hang", share=0.1),
        FaultRule(effect="slow", share=0.1, delay_seconds=0.4),
    )
    effects = ("lose",)
