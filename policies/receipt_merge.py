"""The state of a delivery from its receipts, in whatever order and however often they come.

The only place that knows the order of statuses. A receipt is turned into a state of its own
and states are merged; merging is commutative, associative and idempotent, so late, repeated
and reordered receipts all lead to the same state. `receipt_fold.sql` is the same fold.

The higher round (replay of a dead letter) hides lower ones. For each device, the receipt of
the highest rank stands, the latest among equals. A delivery is sent when one of its devices
is, and failed only when all of them are.
"""

from collections.abc import Iterable

import msgspec

from schemas.receipt import Receipt, Status

RANKS: dict[Status, int] = {
    "queued": 1,
    "deferred": 1,  # takes turns with queued: the later one tells how it stands
    "in_doubt": 2,  # nobody knows: whatever is known says more
    "suppressed": 3,
    "expired": 3,
    "cancelled": 3,
    "rejected": 3,
    "failed": 4,
    "sent": 5,
    "delivered": 6,
    "bounced": 7,  # some mailboxes take a message first and return it later
}
"""Published as `state_rank`."""

_SENT = RANKS["sent"]
_DELIVERED = RANKS["delivered"]


def state_rank(status: Status) -> int:
    """The place of a status in the order; the higher one stands."""
    return RANKS[status]


class Stand(msgspec.Struct, array_like=True, frozen=True, order=True, gc=False):
    """What stands for one device, or (device "") for the delivery as a whole.

    Compared member by member, so the greater of two is the one that stands.
    """

    rank: int
    is_final: bool
    occurred_at: str
    status: str
    reason: str
    provider: str = ""
    provider_code: str = ""
    provider_message_id: str = ""


class DeliveryState(msgspec.Struct, array_like=True, frozen=True):
    """Everything that receipts say of one delivery, in its latest round."""

    round: int
    device_count: int
    attempts: int
    queued_at: str
    """"" where not known; of several the first, as with the next two."""
    sent_at: str
    delivered_at: str
    was_in_doubt: bool
    """Some call's outcome was not known, so it may have been sent more often than is said."""
    devices: dict[str, Stand]

    @property
    def stand(self) -> Stand:
        """How the delivery stands, over all its devices."""
        return _over_all(self.devices, self.device_count)

    @property
    def status(self) -> str:
        return self.stand.status

    @property
    def reason(self) -> str:
        return self.stand.reason

    @property
    def is_final(self) -> bool:
        return self.stand.is_final

    @property
    def reasons(self) -> tuple[str, ...]:
        """Of the devices that have one, each once, sorted."""
        return tuple(sorted({stand.reason for stand in self.devices.values()} - {""}))


encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(DeliveryState).decode


def state_of(receipt: Receipt) -> DeliveryState | None:
    """One receipt as a state. None for one that says nothing of a delivery's state."""
    if receipt.kind != "delivery":
        return None
    status, at = receipt.status, receipt.occurred_at
    stand = Stand(
        receipt.state_rank,
        receipt.is_final,
        at,
        status,
        receipt.reason,
        receipt.provider,
        receipt.provider_code,
        receipt.provider_message_id,
    )
    return DeliveryState(
        round=receipt.round,
        device_count=receipt.device_count,
        attempts=receipt.attempt,
        queued_at=at if status == "queued" else "",
        sent_at=at if status == "sent" else "",
        delivered_at=at if status == "delivered" else "",
        was_in_doubt=status == "in_doubt",
        devices={receipt.device_id: stand},
    )


def merge(one: DeliveryState, other: DeliveryState) -> DeliveryState:
    """What both say together."""
    if one.round != other.round:
        return one if one.round > other.round else other
    devices = dict(one.devices)
    for device_id, stand in other.devices.items():
        known = devices.get(device_id)
        devices[device_id] = stand if known is None else max(known, stand)
    return DeliveryState(
        round=one.round,
        device_count=max(one.device_count, other.device_count),
        attempts=max(one.attempts, other.attempts),
        queued_at=_first(one.queued_at, other.queued_at),
        sent_at=_first(one.sent_at, other.sent_at),
        delivered_at=_first(one.delivered_at, other.delivered_at),
        was_in_doubt=one.was_in_doubt or other.was_in_doubt,
        devices=devices,
    )


def fold(state: DeliveryState | None, receipts: Iterable[Receipt]) -> DeliveryState | None:
    """The state after these receipts of one delivery; None while nothing is known of it."""
    for receipt in receipts:
        news = state_of(receipt)
        if news is not None:
            state = news if state is None else merge(state, news)
    return state


def _first(one: str, other: str) -> str:
    return min(one, other) if one and other else one or other


def _over_all(devices: dict[str, Stand], device_count: int) -> Stand:
    """Receipts without a device speak of the delivery as a whole: it was queued, or refused."""
    stands = devices.values()
    taken = [stand for stand in stands if _SENT <= stand.rank <= _DELIVERED]
    if taken:
        return max(taken)
    ended = [stand for device_id, stand in devices.items() if device_id and stand.is_final]
    whole = devices.get("")
    if whole is not None and whole.is_final:
        return max(whole, *ended) if ended else whole
    if len(ended) >= device_count:
        doubtful = [stand for stand in ended if stand.status == "in_doubt"]
        return max(doubtful or ended)
    going_on = [stand for stand in stands if not stand.is_final]
    if going_on:
        return max(going_on)
    # Only some devices were heard of, and the receipt that it was queued is late.
    return Stand(RANKS["queued"], False, min(stand.occurred_at for stand in ended), "queued", "")
