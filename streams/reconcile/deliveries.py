"""The deliveries of a cohort, and how each stands by its receipts."""

import enum
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from policies.receipt_merge import DeliveryState, fold
from schemas.delivery import CHANNELS, Channel
from schemas.receipt import Receipt

_HELD_BY_POLICY = frozenset({"quiet_hours", "legal_window", "scheduled", "daily_limit", "paused"})


class Standing(enum.IntEnum):
    """The terms of the equation. Whatever is not settled must still be somewhere."""

    SETTLED = 0
    """The provider has it, or it ended without."""
    DEFERRED = 1
    """A policy, the producer or a pause holds it."""
    RETRYING = 2
    """A call did not do, there will be another."""
    IN_FLIGHT = 3
    """On its way to a provider, or waiting for a rate token."""

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


class Open(NamedTuple):
    """What is told of a delivery that is not settled."""

    channel: Channel
    standing: Standing


_OPEN = {(channel, each): Open(channel, each) for channel in CHANNELS for each in Standing}
"""One of each kind, shared by millions."""

_CHANNEL_OF: Mapping[str, Channel] = {channel: channel for channel in CHANNELS}

# How a delivery stands is one integer, so that of two receipts the greater one holds: round,
# rank, is_final, occurred_ms, then what is only kept.
_STANDING_BITS, _CHANNEL_BITS = 2, 2
_OCCURRED_AT = _STANDING_BITS + _CHANNEL_BITS
_FINAL_AT = _OCCURRED_AT + 43
_RANK_AT = _FINAL_AT + 1
_ROUND_AT = _RANK_AT + 4


class Deliveries:
    """Some millions are kept at once: an integer each. Those to several devices, which need
    the whole fold, are few."""

    def __init__(self) -> None:
        self._single: dict[bytes, int] = {}
        self._to_devices: dict[bytes, tuple[Channel, DeliveryState]] = {}

    def __len__(self) -> int:
        return len(self._single) + len(self._to_devices)

    def __contains__(self, delivery_id: bytes) -> bool:
        return delivery_id in self._single or delivery_id in self._to_devices

    def note(self, delivery_id: bytes, receipt: Receipt) -> None:
        """Take in a receipt about a delivery, in any order and however often."""
        known = self._to_devices.get(delivery_id)
        if receipt.device_count > 1 or known is not None:
            # What came before spoke of the delivery as a whole, and was that it waits.
            self._single.pop(delivery_id, None)
            state = fold(known[1] if known else None, [receipt])
            if state is not None:
                self._to_devices[delivery_id] = (_CHANNEL_OF[receipt.channel], state)
            return
        packed = _packed(receipt)
        if packed > self._single.get(delivery_id, -1):
            self._single[delivery_id] = packed

    def counts(self) -> Counter[Standing]:
        found = Counter(Standing(packed & 3) for packed in self._single.values())
        found.update(_standing_of(state) for _, state in self._to_devices.values())
        return found

    def open(self) -> Iterator[tuple[bytes, Open]]:
        """Those not settled."""
        for delivery_id, packed in self._single.items():
            if packed & 3:
                channel = CHANNELS[packed >> _STANDING_BITS & 3]
                yield delivery_id, _OPEN[channel, Standing(packed & 3)]
        for delivery_id, (channel, state) in self._to_devices.items():
            standing = _standing_of(state)
            if standing is not Standing.SETTLED:
                yield delivery_id, _OPEN[channel, standing]


def _packed(receipt: Receipt) -> int:
    occurred_ms = round(datetime.fromisoformat(receipt.occurred_at).timestamp() * 1000)
    return (
        receipt.round << _ROUND_AT
        | receipt.state_rank << _RANK_AT
        | receipt.is_final << _FINAL_AT
        | occurred_ms << _OCCURRED_AT
        | CHANNELS.index(_CHANNEL_OF[receipt.channel]) << _STANDING_BITS
        | _standing(receipt.status, receipt.reason, receipt.is_final)
    )


def _standing_of(state: DeliveryState) -> Standing:
    stand = state.stand
    return _standing(stand.status, stand.reason, stand.is_final)


def _standing(status: str, reason: str, is_final: bool) -> Standing:
    if is_final or status == "sent":
        return Standing.SETTLED
    if status == "queued":
        return Standing.IN_FLIGHT
    is_held = status == "deferred" and reason in _HELD_BY_POLICY
    return Standing.DEFERRED if is_held else Standing.RETRYING
