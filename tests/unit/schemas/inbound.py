"""Small inbound records, valid but for what a test changes."""

import json
from typing import Any

from schemas.kafka import Headers, InboundRecord, Record
from schemas.topics import REQUESTED

NORMAL = REQUESTED["normal"]
APPENDED_MS = 1_772_000_000_000


def request(**changes: Any) -> dict[str, Any]:
    return {"user_id": "ann", "type": "order_confirmed"} | changes


def change(kind: str, **fields: Any) -> dict[str, Any]:
    head = {"change": kind, "user_id": "ann", "source": "user"}
    return head | {"occurred_at": "2026-03-01T12:00:00Z"} | fields


def record(
    value: bytes | dict[str, Any] | None, *, topic: str = NORMAL, headers: Headers = ()
) -> InboundRecord:
    content = json.dumps(value).encode() if isinstance(value, dict) else value
    return InboundRecord(topic, 3, 17, APPENDED_MS, b"ann", content, headers)


def arrived(sent: Record) -> InboundRecord:
    """As a forwarded record is read on its new topic, later and at other coordinates."""
    return InboundRecord(
        sent.topic, sent.partition, 99, APPENDED_MS + 5_000, sent.key, sent.value, sent.headers
    )
