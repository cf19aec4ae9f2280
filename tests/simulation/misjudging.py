"""Bugs of judgement: code that decides or sends by other rules than it was told to.

They are planted in the code itself, for as long as a story is told. Most break a promise of
workers too, so `proof` has them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import agents.reconsider
import agents.settlement
import policies.outlook
import streams.engine.partition
from agents.dedup import Dedup
from agents.followups import FollowUps
from agents.pace import Line
from agents.stage import Effects
from channels.failover import Failover
from policies.fallback import Exhausted
from policies.retry import MAX_ATTEMPTS, after
from proof.mutants import sending
from proof.mutants.base import replace
from proof.mutants.catalogue import MUTANTS
from schemas import topics
from schemas.kafka import Record
from schemas.outcome import NotProcessed
from streams.engine.running import StageRun
from streams.envelopes import RecordEnvelopes

Plant = Callable[[], None]
_FORWARDED = {*map(topics.forwarded, (*topics.REQUESTED.values(), topics.RECIPIENTS_CHANGED))}


def ask_no_opt_out() -> None:
    replace(policies.outlook, "_refusal", lambda plan, wish, types: None)


def take_a_moment_too_many_for_the_window() -> None:
    begin = Dedup.__init__

    def begin_longer(self: Dedup, state: Any, window_ms: int) -> None:
        begin(self, state, window_ms + 1)

    replace(Dedup, "__init__", begin_longer)


def take_a_moment_too_few_for_the_window() -> None:
    begin = Dedup.__init__

    def begin_shorter(self: Dedup, state: Any, window_ms: int) -> None:
        begin(self, state, window_ms - 1)

    replace(Dedup, "__init__", begin_shorter)


def limit_nothing() -> None:
    replace(Line, "take", lambda self, batch, calls, elapsed_ms: calls)


def forget_the_fallback() -> None:
    replace(agents.reconsider, "go_on", lambda channels, admit: Exhausted(()))


def give_up_without_a_call() -> None:
    """What one in eight deliveries is told of is no call."""
    send = Failover.send

    async def send_some(self: Failover, batch: Any) -> Any:
        if batch[0].delivery_id[-1] % 8 == 0:
            return [NotProcessed(consumes_attempt=True, reason="server_error")] * len(batch)
        return await send(self, batch)

    replace(Failover, "send", send_some)


def give_up_at_the_first_refusal() -> None:
    def after_the_last(outcome: Any, *, attempt: int, **more: Any) -> Any:
        is_refused = isinstance(outcome, NotProcessed) and outcome.consumes_attempt
        return after(outcome, attempt=MAX_ATTEMPTS if is_refused else attempt, **more)

    replace(agents.settlement, "after", after_the_last)


def forward_elsewhere() -> None:
    forward = RecordEnvelopes.forward

    def forward_back(self: RecordEnvelopes, item: Any, partition: int) -> Record:
        return forward(self, item, item.record.partition)

    replace(RecordEnvelopes, "forward", forward_back)


def forward_too_late() -> None:
    """What was misplaced is done, and then it is sent on."""
    stage = StageRun._stage

    async def stage_apart(self: StageRun, effects: Effects) -> None:
        await stage(self, Effects(done=effects.done))
        await stage(self, Effects(records=effects.records))

    def stage_some_apart(self: StageRun, effects: Effects) -> Any:
        is_forwarding = {each.topic for each in effects.records} & _FORWARDED
        return stage_apart(self, effects) if is_forwarding else stage(self, effects)

    replace(StageRun, "_stage", stage_some_apart)


def bury_nobody() -> None:
    """What is given up leaves no dead letter."""
    lost = FollowUps.lost

    def lose(self: FollowUps, *about: Any, is_dead: bool) -> None:
        lost(self, *about, is_dead=False)

    replace(FollowUps, "lost", lose)


def give_nobody_a_head_start() -> None:
    replace(streams.engine.partition, "HEAD_START_SECONDS", 0.0)


PLANTS: Mapping[str, Plant] = {
    **{
        f"logic:{name}": MUTANTS[name].plant
        for name in (
            "acknowledge-before-sending",
            "skip-the-intent",
            "doubt-untold",
            "drop-on-429",
            "retry-after-ignored",
            "throttled-counts",
            "retry-a-lost-reply",
            "resend-the-whole-batch",
            "mix-up-a-batch",
            "pause-unheard",
            "cancellation-unheard",
            "opt-outs-not-kept",
            "half-a-life",
            "never-expires",
            "at-once",
            "no-dedup-window",
            "conflict-untold",
            "utc-for-local-time",
            "no-caps",
            "slice-off-by-one",
            "misplaced-not-forwarded",
            "sold-phone-kept",
            "ranks-alike",
            "rubbish-thrown-away",
        )
    },
    "logic:stops-unasked": sending.ask_no_stop,
    "logic:opt-outs-unasked": ask_no_opt_out,
    "logic:window-too-long": take_a_moment_too_many_for_the_window,
    "logic:window-too-short": take_a_moment_too_few_for_the_window,
    "logic:no-limiter": limit_nothing,
    "logic:fallback-forgotten": forget_the_fallback,
    "logic:given-up-without-a-call": give_up_without_a_call,
    "logic:given-up-at-once": give_up_at_the_first_refusal,
    "logic:forwarded-elsewhere": forward_elsewhere,
    "logic:forwarded-too-late": forward_too_late,
    "logic:no-dead-letter": bury_nobody,
    "logic:no-head-start": give_nobody_a_head_start,
}
"""By name."""
