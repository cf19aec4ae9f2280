"""What became of everything, counted from the receipts as they come."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from schemas.delivery import CHANNELS
from schemas.receipt import Receipt, decode_receipt

COLUMNS = ("queued", "sent", "deferred", "suppressed", "rejected", "expired", "failed", "in_doubt")
_WAITS_BY_POLICY = frozenset({"quiet_hours", "legal_window", "scheduled", "daily_limit"})


@dataclass(slots=True)
class Tally:
    """Deliveries by channel and state; a delivery counts in its latest state only."""

    states: dict[str, tuple[str, str, str, int]] = field(default_factory=dict)
    """Delivery (and device) to channel, status, reason, rank."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    suppressed_by: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    receipts: int = 0

    def note(self, value: bytes) -> None:
        """One receipt."""
        try:
            receipt = decode_receipt(value)
        except msgspec.DecodeError:
            return
        self.receipts += 1
        if receipt.kind == "request":
            self.requests[receipt.status] += 1
        elif receipt.kind == "delivery":
            self._move(receipt)

    @property
    def open(self) -> int:
        """Deliveries that somebody is still working on; one that waits for a policy is at rest."""
        return sum(
            status == "queued" or (status == "deferred" and reason not in _WAITS_BY_POLICY)
            for _, status, reason, _ in self.states.values()
        )

    def row(self, channel: str) -> list[int]:
        return [self.counts[channel, status] for status in COLUMNS]

    def total(self, status: str) -> int:
        return sum(self.counts[channel, status] for channel in CHANNELS)

    def _move(self, receipt: Receipt) -> None:
        key = receipt.delivery_id
        before = self.states.get(key)
        if before is not None:
            if receipt.state_rank < before[3]:
                return
            self.counts[before[0], before[1]] -= 1
        self.states[key] = (receipt.channel, receipt.status, receipt.reason, receipt.state_rank)
        self.counts[receipt.channel, receipt.status] += 1
        if receipt.status == "suppressed":
            self.suppressed_by[receipt.reason] += 1
