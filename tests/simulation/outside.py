"""A simulated world as the checker of `proof` sees any: only what is known from outside."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from channels.base import Content, EmailContent, PushContent, SmsContent
from policies.rules import Category, RateLimit
from proof.checker import evidence, rules
from proof.checker.contents import hash_of_places
from schemas import ids
from schemas.delivery import CHANNELS
from tests.simulation.carrier import DEAD, RETRY_AFTER_SECONDS, Acceptance, Effect, Trouble
from tests.simulation.evidence import Evidence, Said
from tests.simulation.real import EMAIL_RATE, RULES, SMS_SENDERS

RETRY_AFTER_MS = round(RETRY_AFTER_SECONDS * 1000)
_STATUSES: Mapping[Effect, int] = {"throttle": 429, "refuse": 503, "reject": 400}

ASKEW_MS = 20_000
"""Clocks are set by eight seconds at the most, forwards or back."""

LAG_MS = 20_000
"""How far behind a decision may be: a role is away for as long as a session and a restart take."""

PROMPT_MS = 2_000
"""Likewise, of what a user said in their own partition: no time goes by between two reads of it."""


def outside(found: Evidence, *, stop_ms: int, prompt_ms: int) -> evidence.Evidence:
    circumstances = evidence.Circumstances(
        ended_ms=found.ended_ms,
        blows=found.blows,
        storms=list(_storms(found.troubles)),
        stop_ms=stop_ms,
        lag_ms=LAG_MS,
        prompt_ms=prompt_ms,
        askew_ms=ASKEW_MS if found.is_askew else 0,
        dead_addresses=(DEAD,),
    )
    return evidence.Evidence(
        rules=_rules(),
        circumstances=circumstances,
        requests=[_request(each, evidence.Request) for each in found.requests],
        broadcasts=[_request(each, evidence.Broadcast) for each in found.broadcasts],
        unsure=[evidence.Unsure(each) for each in found.withdrawn],
        changes=[
            evidence.Change(
                each.at_ms,
                *each.place[:3],
                msgspec.convert(each.what, evidence.Said),
                each.is_misplaced,
            )
            for each in sorted((*found.changes, *found.imports), key=lambda each: each.at_ms)
        ],
        cancellations=list(_cancellations(found)),
        controls=[
            evidence.Control(each.at_ms, each.what["action"], each.what["scope"], each.what["name"])
            for each in found.controls
        ],
        known=[evidence.Known(each) for each in found.rests_ms],
        rubbish=[evidence.Rubbish(0, *place) for place in found.rubbish],
        accepts=[_accept(call, each) for call, each in enumerate(found.acceptances)],
        refusals=[] if found.is_askew else list(_refusals(found.troubles)),
        receipts=[
            msgspec.convert(each, evidence.Receipt, from_attributes=True) for each in found.receipts
        ],
        letters=[
            msgspec.convert(each, evidence.Letter, from_attributes=True) for each in found.letters
        ],
    )


def _storms(troubles: Iterable[Trouble]) -> Iterable[evidence.Storm]:
    """Only what a provider really did excuses a failure: a storm lasts as long as a call."""
    calls = {(each.channel, each.called_ms, each.at_ms, each.effect) for each in troubles}
    for channel, called_ms, at_ms, effect in sorted(calls):
        yield evidence.Storm(channel, called_ms, at_ms, (effect,))


def _request(each: Said, kind: type[evidence.Request]) -> Any:
    said = msgspec.convert(each.what, evidence.Asked)
    return kind(each.what["metadata"]["intent"], each.at_ms, *each.place[:3], said)


def _cancellations(found: Evidence) -> Iterable[evidence.Cancellation]:
    """Of a broadcast by its id, which here can be computed from its key."""
    keys = {
        ids.to_text(ids.broadcast_id("", each.what["idempotency_key"])): each.what
        for each in found.broadcasts
    }
    for each in found.cancellations:
        what = keys.get(each.what.get("broadcast_id", ""), each.what)
        if "idempotency_key" in what:  # else it is of a broadcast that nobody ever asked for
            user = each.what.get("user_id", "")
            yield evidence.Cancellation(each.at_ms, what["idempotency_key"], user)


def _refusals(troubles: Iterable[Trouble]) -> Iterable[evidence.Refusal]:
    for each in troubles:
        if each.effect != "lose":
            again_ms = each.at_ms + RETRY_AFTER_MS if each.effect == "throttle" else 0
            message = each.message
            yield evidence.Refusal(
                each.called_ms, each.provider, _STATUSES[each.effect], again_ms, message.round,
                message.attempt, [ids.to_text(message.delivery_id)], [message.address], _line_of(each),
            )  # fmt: skip


def _line_of(each: Acceptance | Trouble) -> str:
    """Of two processes of one slot each keeps the limit; together they may not."""
    return "" if each.is_beside else each.message.sender or each.provider


def _accept(call: int, each: Acceptance) -> evidence.Accept:
    message = each.message
    return evidence.Accept(
        each.called_ms, call, each.provider, _line_of(each),
        ids.to_text(message.delivery_id), message.address,
        hash_of_places(_places(message.content)), message.round, message.attempt,
    )  # fmt: skip


def _places(content: Content) -> list[str]:
    match content:
        case EmailContent():
            return [content.subject, content.text]
        case PushContent():
            return [content.title, content.body]
        case SmsContent():
            return [content.text]
    raise AssertionError("no provider takes what is for the inbox")


@cache
def _rules() -> rules.Rules:
    return rules.Rules(
        kinds={
            each.name: rules.Kind(
                each.name,
                _category(each.category),
                each.channels,
                each.fallback,
                each.ttl_seconds * 1000,
            )
            for each in RULES.types.values()
        },
        per_user={channel: _limit(rate) for channel, rate in RULES.per_user.items()},
        dedup_ms=RULES.dedup_window_seconds * 1000,
        legal_channels=tuple(RULES.legal_windows.channels),
        legal_window=RULES.legal_windows.default,
        legal_by_zone={**RULES.legal_windows.by_zone},
        channel_of={f"{channel}-{one}": channel for channel in CHANNELS for one in ("one", "two")},
        rates=dict(_rates()),
    )  # fmt: skip


def _rates() -> Iterable[tuple[str, rules.Limit]]:
    """Of each number; and of providers, which by SMS comes to what all their numbers may."""
    for number, rate in SMS_SENDERS.items():
        yield number, _limit(rate)
    (window_seconds,) = {rate.window_seconds for rate in SMS_SENDERS.values()}
    sms = RateLimit(sum(rate.count for rate in SMS_SENDERS.values()), window_seconds)
    for provider in ("one", "two"):
        yield f"sms-{provider}", _limit(sms)
        yield f"email-{provider}", _limit(EMAIL_RATE)


def _category(each: Category) -> rules.Category:
    return rules.Category(
        name=each.name,
        mandatory=each.mandatory,
        in_doubt=each.in_doubt,
        quiet_hours=each.quiet_hours,
        legal_windows=each.legal_windows,
        daily_limit={str(channel): count for channel, count in each.daily_limit.items()},
        over_limit=each.over_limit,
    )


def _limit(rate: RateLimit) -> rules.Limit:
    return rate.count, round(rate.window_seconds * 1000)
