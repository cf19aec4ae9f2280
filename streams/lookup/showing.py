"""How what was found is shown: rows for people, members for scripts."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from policies.receipt_merge import Stand
from schemas import ids
from streams.lookup.finding import Found
from streams.lookup.rows import Delivery

COLUMNS = (
    "channel", "state", "since", "reason", "attempts", "queued", "sent", "delivered", "provider", "note",
)  # fmt: skip
COUNT_COLUMNS = ("channel", "state", "deliveries")


def title(found: Found) -> str:
    """Whom it is for and what it is about."""
    said = next(iter(found.deliveries.values()), None) or next(iter(found.remarks), None)
    if said is None or found.counts:
        return "broadcast"
    return f"{said.type} for {said.user_id}" if said.user_id else f"broadcast of {said.type}"


def table(found: Found) -> list[dict[str, Any]]:
    """A row for each delivery, and below it one for each of several devices."""
    shown = []
    for delivery in _in_order(found):
        state = delivery.state
        stand = state.stand
        shown.append(
            {
                "channel": delivery.channel,
                "state": stand.status,
                "since": stand.occurred_at,
                "reason": ", ".join(state.reasons),
                "attempts": state.attempts,
                "queued": state.queued_at,
                "sent": state.sent_at,
                "delivered": state.delivered_at,
                "provider": _provider(stand),
                "note": _note(delivery),
            }
        )
        devices = {name: each for name, each in state.devices.items() if name}
        if len(devices) > 1:
            shown += [_device_row(name, each) for name, each in sorted(devices.items())]
    return shown


def count_table(found: Found) -> list[dict[str, Any]]:
    """A row for each channel and state of a broadcast's deliveries."""
    return [
        {"channel": channel, "state": status, "deliveries": count}
        for (channel, status), count in sorted(found.counts.items())
    ]


def remark_lines(found: Found) -> list[str]:
    """What else was said, one line each."""
    return [
        " ".join(
            filter(
                None,
                (
                    remark.occurred_at, remark.channel, remark.kind, remark.status,
                    remark.reason and f"({remark.reason})",
                ),
            )
        )
        for remark in found.remarks
    ]  # fmt: skip


def as_dict(wanted: bytes, found: Found) -> dict[str, Any]:
    """For scripts."""
    shown: dict[str, Any] = {"id": ids.to_text(wanted)}
    if found.counts:
        counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (channel, status), count in sorted(found.counts.items()):
            counts[channel][status] = count
        shown["counts"] = counts
    else:
        shown["deliveries"] = [
            _delivery_members(delivery_id, each) for delivery_id, each in found.deliveries.items()
        ]
    return shown | {"remarks": [msgspec.structs.asdict(each) for each in found.remarks]}


def _delivery_members(delivery_id: bytes, delivery: Delivery) -> Mapping[str, Any]:
    state, stand = delivery.state, delivery.state.stand
    return {
        "delivery_id": ids.to_text(delivery_id),
        "user_id": delivery.user_id,
        "type": delivery.type,
        "channel": delivery.channel,
        "broadcast_id": ids.to_text(delivery.broadcast_id) if delivery.broadcast_id else "",
        "status": stand.status,
        "is_final": stand.is_final,
        "since": stand.occurred_at,
        "reasons": list(state.reasons),
        "attempts": state.attempts,
        "round": state.round,
        "queued_at": state.queued_at,
        "sent_at": state.sent_at,
        "delivered_at": state.delivered_at,
        "was_in_doubt": state.was_in_doubt,
        "provider": stand.provider,
        "provider_code": stand.provider_code,
        "provider_message_id": stand.provider_message_id,
        "devices": {
            name: {"status": each.status, "reason": each.reason, "occurred_at": each.occurred_at}
            for name, each in state.devices.items()
            if name
        },
    }


def _in_order(found: Found) -> list[Delivery]:
    def when(delivery: Delivery) -> tuple[str, str]:
        state = delivery.state
        return state.queued_at or state.stand.occurred_at, delivery.channel

    return sorted(found.deliveries.values(), key=when)


def _device_row(name: str, stand: Stand) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    return row | {
        "channel": f"  {name}",
        "state": stand.status,
        "since": stand.occurred_at,
        "reason": stand.reason,
        "provider": _provider(stand),
    }


def _provider(stand: Stand) -> str:
    return f"{stand.provider} {stand.provider_code}".strip()


def _note(delivery: Delivery) -> str:
    state = delivery.state
    said = []
    if state.was_in_doubt and state.status != "in_doubt":
        said.append("may have been sent more than once")
    if state.round:
        said.append(f"round {state.round}")
    return ", ".join(said)
