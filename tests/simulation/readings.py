"""Evidence, read one way or another: by delivery, by request, by what was said when."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from policies.rules import NotificationType
from schemas import ids
from schemas.receipt import Receipt
from tests.simulation.carrier import Acceptance
from tests.simulation.evidence import Evidence, Said
from tests.simulation.real import RULES

Unit = tuple[str, str, int]
"""Delivery, device ("" for the delivery as a whole) and round."""


def accepted(found: Evidence) -> Iterator[Said]:
    for group in requests_by_id(found).values():
        yield group[0]


def requests_by_id(found: Evidence) -> Mapping[str, list[Said]]:
    groups: defaultdict[str, list[Said]] = defaultdict(list)
    for request in found.requests:
        if request.what["type"] in RULES.types:
            groups[request.notification_id].append(request)
    return groups


def by_delivery(found: Evidence) -> Mapping[str, list[Receipt]]:
    told: defaultdict[str, list[Receipt]] = defaultdict(list)
    for receipt in found.receipts:
        if receipt.kind == "delivery":
            told[receipt.delivery_id].append(receipt)
    return told


def is_end(receipt: Receipt) -> bool:
    return receipt.is_final or receipt.status == "sent"


def has_failed(receipts: Sequence[Receipt]) -> bool:
    """Every device failed or is gone, and one failed at least."""
    ends = [each for each in receipts if is_end(each)]
    over = all(each.status == "failed" or each.reason == "address_gone" for each in ends)
    return over and any(each.status == "failed" and each.reason != "stage_error" for each in ends)


def is_given_up(receipts: Sequence[Receipt]) -> bool:
    """In doubt to the last, for a type that would rather tell twice."""
    return any(each.status == "in_doubt" and each.is_final for each in receipts)


def unit_told(receipt: Receipt) -> Unit:
    return receipt.delivery_id, receipt.device_id, receipt.round


def unit_sent(acceptance: Acceptance, found: Evidence) -> Unit:
    message = acceptance.message
    device = found.devices.get((message.delivery_id, message.address), "")
    return ids.to_text(message.delivery_id), device, message.round


def choices_in(changes: Sequence[Said]) -> Mapping[tuple[str, str], list[tuple[str, int, bool]]]:
    """What people said themselves of a channel or type: (occurred, appended, on)."""
    said: defaultdict[tuple[str, str], list[tuple[str, int, bool]]] = defaultdict(list)
    for change in changes:
        what = change.what
        if what["change"] != "preferences_updated" or what["source"] != "user":
            continue
        for about, wish in what["preferences"].items():
            words = wish if about == "types" else {about: wish.get("enabled")}
            for name, enabled in words.items():
                if enabled is not None:
                    said[what["user_id"], name].append((what["occurred_at"], change.at_ms, enabled))
    return said


def is_off(said: Sequence[tuple[str, int, bool]], at_ms: int) -> bool:
    """Whether the person had it off all the time since: nothing later says on."""
    known = [each for each in said if each[1] <= at_ms]
    if not known or max(known)[2]:
        return False
    return not any(enabled and each_at >= max(known)[0] for each_at, _, enabled in said)


def cancelled_at(found: Evidence) -> Mapping[str, int]:
    at: dict[str, int] = {}
    for each in found.cancellations:
        what = each.what
        target = what.get("broadcast_id")
        if target is None:
            key = ids.notification_id("", what["user_id"], what["idempotency_key"])
            target = ids.to_text(key)
        at[target] = min(each.at_ms, at.get(target, each.at_ms))
    return at


def pauses_in(found: Evidence) -> Mapping[str, list[tuple[int, int]]]:
    spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    since: dict[str, int] = {}
    for each in found.controls:
        control = f"{each.what['scope']}:{each.what['name']}"
        if each.what["action"] == "pause":
            since.setdefault(control, each.at_ms)
        elif control in since:
            spans[control].append((since.pop(control), each.at_ms))
    return spans


def broadcast_of(found: Evidence, delivery_id: str) -> str:
    return next((e.broadcast_id for e in found.receipts if e.delivery_id == delivery_id), "")


def daily_limits() -> Mapping[tuple[str, str], int]:
    kinds: Sequence[NotificationType] = list(RULES.types.values())
    return {
        (kind.category.name, channel): limit
        for kind in kinds
        for channel, limit in kind.category.daily_limit.items()
    }
