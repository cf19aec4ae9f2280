"""L2, no phantom: what a provider has was asked for, for this user, with this content."""

from collections.abc import Iterator

from proof.checker.cases import Case, Delivery
from proof.checker.contents import is_right
from proof.checker.evidence import Accept, Circumstances
from proof.checker.hearing import UNKNOWN_DEVICE, Hearing
from proof.checker.people import ADDRESS_FIELDS
from proof.checker.verdict import Violation


def phantoms(hearing: Hearing) -> Iterator[Violation]:
    for receipt in hearing.cases.strays:
        ids = (f"receipt {receipt.receipt_id}", f"user {receipt.user_id}")
        words = f"told {receipt.status} of intent {receipt.metadata.intent}, which nobody asked for"
        yield Violation("L2", words, ids)
    for delivery in hearing.others:
        for accept in delivery.accepts:
            yield from _accept(hearing, delivery, accept)
    for case in (*hearing.requests, *hearing.broadcasts):
        yield from _users(hearing, case)


def unclaimed(circumstances: Circumstances, accept: Accept) -> Violation:
    """An acceptance that no receipt of any user speaks of, or no promise where there are none."""
    who = "receipt speaks of" if circumstances.has_receipts else "promise is about"
    words = f"{accept.provider} took a message that no {who}"
    return Violation("L2", words, (f"delivery {accept.delivery_id}", f"at {accept.at_ms}"))


def _accept(hearing: Hearing, delivery: Delivery, accept: Accept) -> Iterator[Violation]:
    request, channel = delivery.request, delivery.channel
    assert request is not None
    if hearing.rules.channel_of.get(accept.provider) != channel:
        yield Violation("L2", f"{accept.provider} has what was told of {channel}", delivery.ids)
        return
    person = hearing.people.of(delivery.user_id)
    if not is_right(request.said, channel, person, accept.body_hash):
        yield Violation("L2", "another content than was asked for", delivery.ids)
    if not _was_ever_theirs(hearing, delivery, accept):
        yield Violation("L2", f"sent to {accept.address}, never theirs", delivery.ids)


def _was_ever_theirs(hearing: Hearing, delivery: Delivery, accept: Accept) -> bool:
    if delivery.channel == "push":
        return hearing.device_of(delivery, accept) != UNKNOWN_DEVICE
    field = ADDRESS_FIELDS[delivery.channel]
    inline = delivery.request.said.recipient if delivery.request else None
    if inline is not None and getattr(inline, field) == accept.address:
        return True
    words = hearing.people.of(delivery.user_id).of(field)
    return any(word.value == accept.address for word in words)


def _users(hearing: Hearing, case: Case) -> Iterator[Violation]:
    """Nobody else than was meant."""
    for user_id in {each.user_id for each in case.deliveries if not each.is_plain}:
        if case.said.user_id:
            is_meant = user_id == case.said.user_id
        else:
            is_meant = True in hearing.members.of(case.request, user_id)
        if not is_meant:
            yield Violation("L2", f"{user_id} was not meant", case.ids)
