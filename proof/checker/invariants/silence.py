"""L1 and L2 where nobody tells: a provider has what the policy leaves no other end for, and nothing that
the policy has no such end for."""

from collections import Counter
from collections.abc import Iterator

from proof.checker.cases import Delivery
from proof.checker.hearing import Hearing
from proof.checker.invariants.limits import least_allowed
from proof.checker.oracle import SENT, send_ms
from proof.checker.verdict import Violation

_OF_LIMITS = frozenset({"rate_limited", "daily_limit"})


def silence(hearing: Hearing) -> Iterator[Violation]:
    times = Counter(
        (each.user_id, each.channel)
        for each in hearing.cases.deliveries.values()
        if each.is_plain or each.accepts
    )
    for delivery in hearing.others:
        if delivery.accepts:
            if SENT not in hearing.oracle.ends(hearing.matter_of(delivery)):
                yield Violation("L2", "a provider has it, against the rules", delivery.ids)
        elif not _is_excused(hearing, delivery, times[delivery.user_id, delivery.channel]):
            words = f"promised by {delivery.channel}, and no provider has it"
            yield Violation("L1", words, delivery.ids)


def _is_excused(hearing: Hearing, delivery: Delivery, times: int) -> bool:
    """By the policy alone, or because its time is yet to come: a blow excuses nobody's silence. Its
    user was reached so many `times` besides."""
    matter, oracle = hearing.matter_of(delivery), hearing.oracle
    ended_ms = hearing.circumstances.ended_ms
    if not hearing.is_certainly_meant(delivery):
        return True
    # Whoever went to sleep later could have had it before.
    if send_ms(matter.said) > ended_ms or not oracle.may_be_awake(matter, [matter.at_ms, ended_ms]):
        return True
    reasons = {reason for _, reason in oracle.ends(matter) - {SENT}}
    if reasons and reasons <= _OF_LIMITS:
        return times >= least_allowed(hearing, delivery.user_id, delivery.channel)
    return bool(reasons)
