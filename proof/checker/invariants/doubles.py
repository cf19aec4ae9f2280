"""L3, no double: one call an attempt; a second one only where it is asked for, in doubt, and told."""

from collections import Counter
from collections.abc import Iterator

from proof.checker.cases import Delivery
from proof.checker.hearing import Hearing
from proof.checker.verdict import Violation


def doubles(hearing: Hearing) -> Iterator[Violation]:
    for case in (*hearing.requests, *hearing.broadcasts):
        seen = set[tuple[str, str]]()
        for each in case.deliveries:
            if (each.user_id, each.channel) in seen:
                yield Violation("L3", f"decided more than once by {each.channel}", each.ids)
            seen.add((each.user_id, each.channel))
    for delivery in hearing.others:
        yield from _calls(hearing, delivery)
        yield from _causeless(hearing, delivery)


def _calls(hearing: Hearing, delivery: Delivery) -> Iterator[Violation]:
    """More than one acceptance of a unit is told of, and only for types that ask for it."""
    kind = hearing.kind_of(delivery)
    units = Counter((hearing.device_of(delivery, each), each.round) for each in delivery.accepts)
    for (device, number), count in units.items():
        if count < 2:
            continue
        doubts = sum(
            each.status == "in_doubt" and (each.device_id, each.round) == (device, number)
            for each in delivery.receipts
        )
        if count > 1 + doubts:
            words = f"accepted {count} times, told in doubt {doubts} times"
            yield Violation("L3", words, delivery.ids)
        if kind is None or kind.category.in_doubt != "resend":
            words = f"accepted {count} times, though its type holds what is in doubt"
            yield Violation("L3", words, delivery.ids)


def _causeless(hearing: Hearing, delivery: Delivery) -> Iterator[Violation]:
    """Nothing is in doubt that no crash, lost reply or lost partition explains."""
    doubts = {(r.status, r.reason) for r in delivery.receipts if r.status == "in_doubt"}
    if not doubts:
        return
    for end in doubts - hearing.oracle.doubts(hearing.matter_of(delivery)):
        words = f"in doubt for {end[1]}, though nothing was struck while it was under way"
        yield Violation("L3", words, delivery.ids)
