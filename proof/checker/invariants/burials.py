"""L8 of deliveries: what failed for good with no channel left is a dead letter, and nothing else is."""

from collections.abc import Iterator

from proof.checker.cases import Delivery
from proof.checker.hearing import Hearing
from proof.checker.verdict import Violation

_ALWAYS = frozenset({("expired", "too_old")})
_WITH_NO_WAY_ON = frozenset({("failed", "attempts_exhausted"), ("failed", "template_error")})
_OURS = frozenset({"stage_raised"})
"""An error of ours, whose letter holds all that was worked on when it came."""


def burials(hearing: Hearing) -> Iterator[Violation]:
    buried = hearing.background.buried
    for delivery in hearing.others:
        owed = _ALWAYS if _has_way_on(hearing, delivery) else _ALWAYS | _WITH_NO_WAY_ON
        for end in delivery.ends():
            if (end.status, end.reason) in owed and end.reason not in buried.get(delivery.id, ()):
                words = f"{end.status} {end.reason}, and no dead letter holds it"
                yield Violation("L8", words, delivery.ids)
    for delivery_id, causes in buried.items():
        theirs = hearing.cases.deliveries.get(delivery_id)
        if theirs is not None and hearing.kind_of(theirs) is not None:
            for cause in sorted(causes - _OURS - _allowed(hearing, theirs)):
                yield Violation("L8", f"a dead letter for {cause} of what may go on", theirs.ids)


def _allowed(hearing: Hearing, delivery: Delivery) -> set[str]:
    """Why it may be buried, by how it ended; it could be replayed, so nothing else may have it."""
    has_way_on = _has_way_on(hearing, delivery)
    return {
        each.reason
        for each in delivery.ends()
        if (each.status, each.reason) in _ALWAYS
        or (each.status in ("failed", "in_doubt") and not has_way_on)
    }


def _has_way_on(hearing: Hearing, delivery: Delivery) -> bool:
    """Whether another channel goes on with it, once it has failed."""
    kind, request = hearing.kind_of(delivery), delivery.request
    assert kind is not None
    assert request is not None
    ways = [each for each in kind.fallback if each not in (request.said.channels or ())]
    if delivery.channel in ways and delivery.channel not in (
        request.said.channels or kind.channels
    ):
        ways = ways[ways.index(delivery.channel) + 1 :]
    return bool(ways)
