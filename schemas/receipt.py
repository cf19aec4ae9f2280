"""`Receipt`: one public fact about a delivery, one JSON record on `receipts`, keyed by user_id.

No address and no free text of a provider, so analysts may keep it. Facts arrive late,
twice and in any order; `policies/receipt_merge.py` folds any order into the same state.
"""

from typing import Any, Literal

import msgspec

Status = Literal[
    "queued", "sent", "delivered", "failed", "bounced",
    "deferred", "suppressed", "expired", "cancelled", "rejected", "in_doubt",
]  # fmt: skip
FINAL_STATUSES: frozenset[str] = frozenset(
    {"delivered", "failed", "bounced", "suppressed", "expired", "cancelled", "rejected", "in_doubt"}
)
Kind = Literal["delivery", "engagement", "request"]

SCHEMA_VERSION = "1.0"


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Instants are RFC 3339 in UTC with milliseconds; ids are canonical UUID text."""

    receipt_id: str
    schema_version: str
    kind: Kind = "delivery"
    """`request` receipts (duplicate, conflict) never change the state of the accepted one."""
    tenant: str = ""
    notification_id: str
    delivery_id: str = ""
    broadcast_id: str = ""
    user_id: str
    channel: str = ""
    type: str
    category: str = ""
    status: str
    """A `Status`; for engagement `opened clicked read unsubscribed complained`; for a request
    `duplicate` or `rejected`."""
    is_final: bool = False
    state_rank: int = 0
    """The order of states, see `policies/receipt_merge.py`; published so that SQL can fold too."""
    reason: str = ""
    round: int = 0
    attempt: int = 0
    provider: str = ""
    provider_code: str = ""
    provider_message_id: str = ""
    device_id: str = ""
    device_count: int = 1
    occurred_at: str
    recorded_at: str
    metadata: dict[str, Any] = {}
    traceparent: str = ""


encode_receipt = msgspec.json.Encoder().encode
decode_receipt = msgspec.json.Decoder(Receipt).decode
