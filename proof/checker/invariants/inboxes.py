"""L1, L2, L3 of inboxes, which are their own providers: what is told to be shown is there, once, and
nothing else is."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from proof.checker.cases import Delivery
from proof.checker.contents import is_right
from proof.checker.evidence import Shown
from proof.checker.hearing import Hearing
from proof.checker.verdict import Violation


def inboxes(hearing: Hearing) -> Iterator[Violation]:
    if not hearing.circumstances.has_inboxes:
        return
    shown: defaultdict[str, list[Shown]] = defaultdict(list)
    for each in hearing.found.shown:
        shown[each.delivery_id].append(each)
    for delivery in hearing.cases.deliveries.values():
        if delivery.channel == "in_app":
            yield from _kept(hearing, delivery, shown.pop(delivery.id, ()))
    for delivery_id, some in shown.items():
        ids = (f"delivery {delivery_id}", f"user {some[0].user_id}")
        yield Violation("L2", "in an inbox, and no receipt of an inbox speaks of it", ids)


def _kept(hearing: Hearing, delivery: Delivery, shown: Sequence[Shown]) -> Iterator[Violation]:
    is_told = delivery.is_plain or any(each.status == "sent" for each in delivery.receipts)
    if is_told and not shown:
        yield Violation("L1", "said to be shown, and no inbox has it", delivery.ids)
    if shown and not is_told:
        yield Violation("L1", "an inbox has it, and nobody says so", delivery.ids)
    if len(shown) > 1:
        yield Violation("L3", f"put into an inbox {len(shown)} times", delivery.ids)
    for each in shown:
        if each.user_id != delivery.user_id:
            yield Violation("L2", f"in the inbox of {each.user_id}", delivery.ids)
        elif delivery.request is not None:
            person, said = hearing.people.of(delivery.user_id), delivery.request.said
            if not is_right(said, "in_app", person, each.body_hash):
                yield Violation("L2", "another content than was asked for", delivery.ids)
