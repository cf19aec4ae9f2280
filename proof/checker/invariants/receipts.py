"""L7, receipts: facts of one delivery agree, so that whatever order they come in tells one story."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from proof.checker.cases import Delivery, key_of
from proof.checker.hearing import Hearing
from proof.checker.rules import Rules
from proof.checker.verdict import Violation

_RANKS = {
    "queued": 1, "deferred": 1, "in_doubt": 2, "suppressed": 3, "expired": 3, "cancelled": 3,
    "rejected": 3, "failed": 4, "sent": 5, "delivered": 6, "bounced": 7,
}  # fmt: skip
_FINAL = _RANKS.keys() - {"queued", "deferred", "sent", "in_doubt"}


def receipts(hearing: Hearing) -> Iterator[Violation]:
    for delivery in hearing.others:
        yield from _facts(hearing, delivery)
    first_of = hearing.background.first_of
    for delivery in hearing.cases.deliveries.values():
        if delivery.request is not None:
            first = first_of.setdefault(delivery.notification_id, delivery)
            if first is not delivery and not _is_one_key(hearing.rules, first, delivery):
                words = "one notification id for what is another request or user"
                yield Violation("L7", words, (*delivery.ids, delivery.notification_id))


def of_several_users(parts: Iterable[Mapping[str, Delivery]]) -> Iterator[Violation]:
    """A delivery is of one user, so no two parts know the same one."""
    before: set[str] = set()
    for deliveries in parts:
        for each in sorted(before.intersection(deliveries)):
            words = "one delivery id for several users"
            yield Violation("L7", words, (*deliveries[each].ids, each))
        before.update(deliveries)


def _is_one_key(rules: Rules, first: Delivery, other: Delivery) -> bool:
    """Both are of one request, or of two with one key, of which the window for repeats is between."""
    one, two = first.request, other.request
    if one is two:
        return first.user_id == other.user_id
    if one is None or two is None or first.user_id != other.user_id:
        return False
    is_later = abs(one.at_ms - two.at_ms) >= rules.dedup_ms
    key = key_of(one)
    return is_later and key is not None and key == key_of(two)


def _facts(hearing: Hearing, delivery: Delivery) -> Iterator[Violation]:
    """A fact is one record; only a delivery that is held back again, for the same reason, says so
    again."""
    told = Counter(each.receipt_id for each in delivery.receipts if each.status != "deferred")
    for receipt_id, count in told.items():
        if count > 1:
            yield Violation("L7", f"receipt {receipt_id} was written {count} times", delivery.ids)
    about = {
        (each.user_id, each.channel, each.type, each.notification_id, each.metadata.intent)
        for each in delivery.receipts
    }
    if len(about) > 1:
        yield Violation("L7", "receipts of one delivery are about several things", delivery.ids)
    kind = hearing.kind_of(delivery)
    for each in delivery.receipts:
        if each.state_rank != _RANKS.get(each.status):
            words = f"{each.status} is told as of rank {each.state_rank}"
            yield Violation("L7", words, delivery.ids)
        if each.status in _FINAL and not each.is_final:
            yield Violation("L7", f"{each.status}, and not told to be final", delivery.ids)
        if kind is not None and each.category != kind.category.name:
            yield Violation("L7", f"told to be of category {each.category}", delivery.ids)
