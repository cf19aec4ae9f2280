"""Small inbound records, valid but for what a test changes."""

import json
from typing import Any

from schemas.kafka import Headers, InboundRecord
from schemas.topics import REQUESTED

NORMAL = REQUESTED["normal"]


def request(**changes: Any) -> dict[str, Any]:
    return {"user_id": "ann", "type": "order_confirmed"} | changes


def change(kind: str, **fields: Any) -> dict[str, Any]:
    head = {"change": kind, "user_id": "ann", "source": "user"}
    return head | {"occurred_at": "2026-03-01T12:00:00Z"} | fields


def record(
    value: bytes | dict[str, Any] | None, *, topic: str = NORMAL, headers: Headers = ()
) -> InboundRecord:
    content = json.dumps(value).encode() if isinstance(value, dict) else value
    return InboundRecord(topic, 3, 17, 1_772_000_000_000, b"ann", content, headers)
