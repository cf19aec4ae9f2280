"""Providers that do not behave: each storm is over after seconds, and comes again."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import ClassVar

import msgspec

from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from sandbox.faults import FaultRule

PROVIDERS: Mapping[str, str] = {"push": "fcm", "email": "sendgrid", "sms": "twilio"}
OTHERS_WAIT_MS = 2_500
"""A channel whose provider is well delivers half of its messages within this, whatever another's
does: a call that hangs is given up after ten seconds, so who waited for one would take longer."""
_ENOUGH_WAITS = 3
"""For a median that tells anything."""
_IN_APP_FACTOR = 3
"""On a machine that is busy with much else all channels are slower; in-app messages, which no provider
has, tell by how much. Mail waits for its call and its rate limit besides."""


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
            async with field.storm(list(PROVIDERS), self.effects, *self.rules):
                await field.wait(3.0, 6.0)

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        field.notes.append(f"{field.calls_hit} calls met it")
        if not field.calls_hit:
            yield Violation(PROMISE, "no call met it")


class Throttled(ProviderStorm):
    name = "429"
    does = "every provider answers 429 for seconds, half of the time with Retry-After"
    expects = "nothing lost, nobody asked about too soon, no attempt consumed, nothing in doubt"
    rules = (
        FaultRule(effect="answer", code="429", retry_after_seconds=3.0, share=0.5),
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
    does = "providers reset connections before they have taken anything"
    expects = "nothing lost; in doubt what had left before the connection was reset, told"
    rules = (FaultRule(effect="refuse", share=0.8),)
    effects = ("lose",)


class Hanging(ProviderStorm):
    name = "half-open"
    does = "one channel's provider never answers a third of the calls, and a third by dribbles"
    expects = (
        "in doubt once the call has timed out, and told; who is decided for meanwhile on another "
        f"channel has it, by the median, within {OTHERS_WAIT_MS / 1000} s or thrice what in-app takes"
    )
    rounds = 3  # a channel each
    rules = (
        FaultRule(effect="hang", share=0.33),
        FaultRule(effect="slow", share=0.5, delay_seconds=0.4),
    )
    effects = ("lose",)

    async def strike(self, field: Field) -> None:
        """Of one channel in a round: its own breaker holds it back for a minute after a storm."""
        channel = sorted(PROVIDERS)[field.plan.seed % len(PROVIDERS)]
        theirs = {"provider": PROVIDERS[channel]}
        rules = [msgspec.structs.replace(rule, **theirs) for rule in self.rules]
        while await field.wait(0.5, 2.0):
            async with field.storm([channel], self.effects, *rules):
                await field.wait(4.0, 7.0)

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        seen, is_judged = field.seen, False
        for storm in field.storms:
            span, others = (storm.from_ms, storm.until_ms), PROVIDERS.keys() - {storm.channel}
            waits_ms, in_app_ms = seen.waits_ms(others, *span), seen.waits_ms({"in_app"}, *span)
            if min(len(waits_ms), len(in_app_ms)) < _ENOUGH_WAITS:
                continue
            is_judged, wait_ms, usual_ms = True, median(waits_ms), median(in_app_ms)
            told = f"others waited {wait_ms / 1000:.1f} s, in_app {usual_ms / 1000:.1f} s"
            field.notes.append(f"while {storm.channel} hung, {told}")
            if wait_ms > max(OTHERS_WAIT_MS, _IN_APP_FACTOR * usual_ms):
                words = f"while {storm.channel} hung, {told}"
                yield Violation(PROMISE, words, (f"from {storm.from_ms}",))
        if not is_judged:
            yield Violation(PROMISE, "too few waited on other channels to tell")
        others = PROVIDERS.keys() - {each.channel for each in field.storms}
        if held_back := seen.deferred("breaker_open", others):
            yield Violation(
                PROMISE, f"{held_back} held back by breakers of providers that were well"
            )
