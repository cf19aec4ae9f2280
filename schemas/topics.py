"""Names of topics and of the headers on them. Their settings are in `streams/topics.py`."""

from schemas.delivery import Channel, Lane

REQUESTED: dict[Lane, str] = {
    "critical": "notifications.requested.critical",
    "normal": "notifications.requested",
    "bulk": "notifications.requested.bulk",
}
BROADCASTS_REQUESTED = "broadcasts.requested"
RECIPIENTS_CHANGED = "recipients.changed"
RECIPIENTS_IMPORTED = "recipients.imported"
"""Batch records of the import command; all items of a record belong to its partition."""
NOTIFICATIONS_CANCELLED = "notifications.cancelled"
PROVIDERS_REPORTED = "providers.reported"
CONTROLS = "controls"

BROADCASTS_ACCEPTED = "broadcasts.accepted"
"""A broadcast turned inside out: one command a partition."""
RECIPIENTS_DERIVED = "recipients.derived"
ADDRESSES_CHANGED = "addresses.changed"
DELIVERIES_RETURNED = "deliveries.returned"

RECEIPTS = "receipts"
DEAD_LETTERS = "dead-letters"

FORWARDABLE = (*REQUESTED.values(), RECIPIENTS_CHANGED)
"""Ingress topics keyed by user: a record in the wrong partition goes to `<topic>.forwarded`."""


def forwarded(topic: str) -> str:
    return f"{topic}.forwarded"


def deliveries(channel: Channel, lane: Lane) -> str:
    return f"deliveries.{channel}.{lane}"


SCHEMA_VERSION_HEADER = "schema-version"
TRACEPARENT_HEADER = "traceparent"
ORIGIN_HEADERS = (
    "origin-topic", "origin-partition", "origin-offset", "origin-timestamp-ms", "origin-part",
)  # fmt: skip
