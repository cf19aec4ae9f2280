"""L1 and L3 of what nobody acknowledged: if anything is told of it, it came, and must come to its end.

What was asked for is not known, so whether it might end so is not judged.
"""

from collections.abc import Iterator

from proof.checker.hearing import Hearing
from proof.checker.invariants.doubles import calls
from proof.checker.invariants.loss import sent_only_if_it_was
from proof.checker.verdict import Violation

_HELD = frozenset({"scheduled", "quiet_hours", "legal_window", "daily_limit"})


def unsure(hearing: Hearing) -> Iterator[Violation]:
    for delivery in hearing.unsure:
        for (device, number), receipts in delivery.units().items():
            ends = [each for each in receipts if each.is_end]
            is_held = receipts[-1].status == "deferred" and receipts[-1].reason in _HELD
            if len(ends) > 1 or not (ends or is_held):
                words = f"{delivery.channel}, round {number} came, and ended {len(ends)} times"
                yield Violation("L1", words, delivery.ids)
            yield from sent_only_if_it_was(hearing, delivery, device, number, ends)
        yield from calls(hearing, delivery, hearing.rules.kinds.get(delivery.receipts[0].type))
