"""L5, patience: whom a provider refused it is not asked about again too soon, nor too often, nor given
up before."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from proof.checker.cases import Delivery
from proof.checker.evidence import Accept, Receipt, Refusal
from proof.checker.hearing import Hearing
from proof.checker.verdict import Violation

_LADDER_MS = (30_000, 120_000, 600_000)
"""Between attempts; each wait may be a tenth shorter, lest all come back together."""
_EARLIEST_SHARE = 0.9
_THROTTLED_MS, _LONGEST_MS = 1_000, 300_000
"""Who is throttled and not told for how long waits for twice as long each time, up to the second."""
_NEVER_ASKED = frozenset({"unreachable", "server_error"})
"""An attempt may also be spent without the provider's having heard of it."""

_Call = Accept | Refusal


def patience(hearing: Hearing) -> Iterator[Violation]:
    for delivery in hearing.others:
        refusals = hearing.background.refusals_of.get(delivery.id, ())
        for (_, number), told in delivery.units().items():
            yield from _given_up_too_soon(
                delivery, told, [each for _, each in refusals if each.round == number]
            )
        calls: defaultdict[tuple[str, str, int], list[_Call]] = defaultdict(list)
        for address, refusal in refusals:
            calls[refusal.provider, address, refusal.round].append(refusal)
        if not calls or any(each.reason == "outcome_lost" for each in delivery.receipts):
            continue  # a crash has lost what the provider had said
        for accept in delivery.accepts:
            calls[accept.provider, accept.address, accept.round].append(accept)
        for some in calls.values():
            yield from _judge(delivery, sorted(some, key=lambda each: each.at_ms))


def _given_up_too_soon(
    delivery: Delivery, told: Sequence[Receipt], refusals: Sequence[Refusal]
) -> Iterator[Violation]:
    """A device in a round, after fewer attempts than the ladder has: each was refused, or is told to
    have been in doubt, or not to have come to the provider. Where calls or replies were lost, the last
    may have been lost as well, and then this end is all that tells of it."""
    if not any(each.reason == "attempts_exhausted" for each in told):
        return
    refused = {each.attempt for each in refusals if each.status == 0 or each.status >= 500}
    lost = {
        each.attempt for each in told if each.status == "in_doubt" or each.reason in _NEVER_ASKED
    }
    last = len(_LADDER_MS) + 1
    owed = set(range(1, last if lost else last + 1)) - refused - lost
    if owed:
        words = f"given up, though nothing tells of attempt {min(owed)}"
        yield Violation("L5", words, delivery.ids)


def _judge(delivery: Delivery, calls: list[_Call]) -> Iterator[Violation]:
    """Of one device in one round."""
    throttled = 0
    for before, then in pairwise(calls):
        if isinstance(before, Refusal):
            throttled += before.status == 429
            words = _impatience(delivery, before, then, throttled)
            if words:
                told = (
                    f"called again after {then.at_ms - before.at_ms} ms, as attempt {then.attempt}"
                )
                yield Violation("L5", f"{told}, {words}", delivery.ids)
        if then.attempt != before.attempt:
            throttled = 0


def _impatience(delivery: Delivery, refusal: Refusal, then: _Call, throttled: int) -> str:
    """What is wrong with calling again then; `throttled`: how often it was in this attempt."""
    if refusal.status == 0 or refusal.status >= 500:
        return _off_the_ladder(refusal, then)
    if any(each.status == "in_doubt" for each in delivery.receipts):
        return ""  # nobody may have heard of it
    if refusal.is_final:
        return "though it was refused for good"
    unheard = sum(each.reason in _NEVER_ASKED for each in delivery.receipts)
    return _too_eager(refusal, then, throttled, unheard)


def _off_the_ladder(refusal: Refusal, then: _Call) -> str:
    if not refusal.attempt < then.attempt <= len(_LADDER_MS) + 1:
        return f"after attempt {refusal.attempt}"
    rungs_ms = sum(_LADDER_MS[refusal.attempt - 1 : then.attempt - 1])
    earliest_ms = max(refusal.at_ms + _EARLIEST_SHARE * rungs_ms, refusal.again_ms)
    return "which is too soon" if then.at_ms < earliest_ms else ""


def _too_eager(refusal: Refusal, then: _Call, throttled: int, unheard: int) -> str:
    """`unheard`: attempts that were spent without the provider's having heard of them."""
    if then.at_ms < refusal.again_ms:
        return f"{refusal.again_ms - then.at_ms} ms before its Retry-After was over"
    if then.at_ms - refusal.at_ms < min(_THROTTLED_MS << (throttled - 1), _LONGEST_MS):
        return f"which is too soon after throttle {throttled}"
    if then.attempt - refusal.attempt > unheard:
        return f"though throttling attempt {refusal.attempt} costs none"
    return ""
