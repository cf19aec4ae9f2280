"""The two loss equations, by counting receipts: nothing is missing, nothing is there twice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from proof.checker.cases import Delivery
from proof.checker.hearing import Hearing
from proof.checker.verdict import Violation

_EQUATIONS = {
    "E1": ("requests", ("decided", "rejected", "duplicate")),
    "E2": ("deliveries", ("settled", "deferred")),
}
_SHOWN = 3
SENT_AGAIN, LEFT_IN_DOUBT, UNSENT = "sent again", "left in doubt", "of these not sent"
"""Terms besides: acceptances beyond the first of a unit; deliveries."""

Odd = Mapping[str, list[tuple[str, ...]]]
"""By equation, the ids of each thing that does not add up by itself."""


class Counted(NamedTuple):
    """Sums over parts that were judged apart are those of the whole."""

    terms: Counter[str]
    odd: Odd


def count(hearing: Hearing) -> Counted:
    """The terms of both."""
    terms: Counter[str] = Counter()
    odd: dict[str, list[tuple[str, ...]]] = {name: [] for name in _EQUATIONS}
    terms["requests"] = len(hearing.found.requests)
    terms["decided"] = terms["requests"] - len(hearing.requests)
    for case in hearing.requests:
        terms["decided"] += bool(case.deliveries)
        for each in case.refusals:
            terms["duplicate" if each.status == "duplicate" else "rejected"] += 1
        if bool(case.deliveries) + len(case.refusals) != 1:
            odd["E1"].append(case.ids)
    terms["broadcasts"] = len(hearing.found.broadcasts)
    plain = [each.channel for each in hearing.cases.deliveries.values() if each.is_plain]
    terms["deliveries"] = terms["settled"] = len(plain)
    terms["accepts"] = len(plain) - plain.count("in_app")
    terms["accepts"] += sum(len(each.accepts) for each in hearing.not_plain)
    for delivery in hearing.others:
        terms += _in_doubt(hearing, delivery)
        units = delivery.units().values()
        settled = sum(each.is_end for some in units for each in some)
        if not delivery.receipts:  # nobody tells
            settled = bool(delivery.accepts)
        deferred = sum(hearing.waits(delivery, some) for some in units)
        terms["deliveries"] += len(units)
        terms["settled"] += settled
        terms["deferred"] += deferred
        if settled + deferred != len(units):
            odd["E2"].append(delivery.ids)
    return Counted(terms, odd)


def _in_doubt(hearing: Hearing, delivery: Delivery) -> Counter[str]:
    """What was sent again, and what is left in doubt."""
    accepts = delivery.accepts
    reached = {(hearing.device_of(delivery, each), each.round) for each in accepts}
    is_left = any(each.status == "in_doubt" and each.is_final for each in delivery.receipts)
    return Counter({
        SENT_AGAIN: len(accepts) - len(reached),
        LEFT_IN_DOUBT: int(is_left),
        UNSENT: int(is_left and not accepts),
    })  # fmt: skip


def some_of(odd: Odd, *names: str) -> tuple[str, ...]:
    """A few to look at, the same ones however the parts were put together."""
    first = sorted(ids for name in names for ids in odd[name])[:_SHOWN]
    return tuple(chain.from_iterable(first))


def together(some: Iterable[Odd]) -> Odd:
    odd = list(some)
    return {name: [ids for each in odd for ids in each[name]] for name in _EQUATIONS}


def equations(terms: Counter[str], odd: Odd) -> Iterator[Violation]:
    for name, (whole, parts) in _EQUATIONS.items():
        total = sum(terms[part] for part in parts)
        if terms[whole] != total:
            told = " + ".join(f"{terms[part]} {part}" for part in parts)
            yield Violation(name, f"{terms[whole]} {whole} are not {told}", some_of(odd, name))
