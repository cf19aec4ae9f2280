"""The two loss equations, by counting receipts: nothing is missing, nothing is there twice."""

from collections import Counter
from collections.abc import Iterator

from proof.checker.hearing import Hearing
from proof.checker.verdict import Violation


def count(hearing: Hearing) -> Counter[str]:
    """The terms of both; sums over parts that were judged apart are those of the whole."""
    terms: Counter[str] = Counter()
    terms["requests"] = len(hearing.found.requests)
    terms["decided"] = terms["requests"] - len(hearing.requests)
    for case in hearing.requests:
        terms["decided"] += bool(case.deliveries)
        for each in case.refusals:
            terms["duplicate" if each.status == "duplicate" else "rejected"] += 1
    terms["broadcasts"] = len(hearing.found.broadcasts)
    plain = [each.channel for each in hearing.cases.deliveries.values() if each.is_plain]
    terms["deliveries"] = terms["settled"] = len(plain)
    terms["accepts"] = len(plain) - plain.count("in_app")
    terms["accepts"] += sum(len(each.accepts) for each in hearing.not_plain)
    for delivery in hearing.others:
        units = delivery.units().values()
        terms["deliveries"] += len(units)
        terms["settled"] += sum(each.is_end for some in units for each in some)
        terms["deferred"] += sum(hearing.waits(delivery, some) for some in units)
    return terms


def equations(terms: Counter[str]) -> Iterator[Violation]:
    for name, whole, parts in (
        ("E1", "requests", ("decided", "rejected", "duplicate")),
        ("E2", "deliveries", ("settled", "deferred")),
    ):
        total = sum(terms[part] for part in parts)
        if terms[whole] != total:
            told = " + ".join(f"{terms[part]} {part}" for part in parts)
            yield Violation(name, f"{terms[whole]} {whole} are not {told}")
