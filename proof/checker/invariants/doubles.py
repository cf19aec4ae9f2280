"""L3, no double: one call an attempt; a second one only where it is asked for, in doubt, and told."""

from collections import Counter
from collections.abc import Iterator

from proof.checker.cases import Delivery
from proof.checker.hearing import Hearing
from proof.checker.instants import ms_of
from proof.checker.rules import Kind
from proof.checker.verdict import Violation


def doubles(hearing: Hearing) -> Iterator[Violation]:
    for case in (*hearing.requests, *hearing.broadcasts):
        seen = set[tuple[str, str]]()
        for each in case.deliveries:
            if (each.user_id, each.channel) in seen:
                yield Violation("L3", f"decided more than once by {each.channel}", each.ids)
            seen.add((each.user_id, each.channel))
    for delivery in hearing.others:
        yield from calls(hearing, delivery, hearing.kind_of(delivery))
        yield from _causeless(hearing, delivery)


def calls(hearing: Hearing, delivery: Delivery, kind: Kind | None) -> Iterator[Violation]:
    """More than one acceptance of a unit is told of, and only for types that ask for it."""
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
    """Nothing is in doubt that no crash, lost reply or lost partition explains, which came after
    what was told before."""
    oracle = hearing.oracle
    for receipts in delivery.units().values():
        since_ms = hearing.matter_of(delivery).at_ms
        for each in receipts:
            from_ms, since_ms = since_ms, ms_of(each.occurred_at)
            if each.status != "in_doubt":
                continue
            if each.reason not in oracle.doubts(delivery.channel, from_ms, since_ms):
                words = f"in doubt for {each.reason}, though nothing was struck since {from_ms}"
                yield Violation("L3", words, delivery.ids)
