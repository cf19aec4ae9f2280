"""Which contract each public topic carries, for whoever reads or writes them.

Internal topics are not here: nobody else may write them, and their records may change with
any version of ours.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from pydantic import TypeAdapter

from schemas import notification, topics
from schemas.dead_letter import DeadLetter
from schemas.decode import MAX_RECORD_BYTES
from schemas.receipt import Receipt
from schemas.recipient import RECIPIENT_CHANGE
from schemas.report import ProviderReport

Writer = Literal["producers", "api", "operators", "postrider"]


@dataclass(frozen=True, slots=True)
class PublicRecord:
    """A public kind of record; `source` is a pydantic adapter, or a msgspec struct of ours."""

    name: str
    version: str
    description: str
    source: TypeAdapter[Any] | type[msgspec.Struct]

    @property
    def file_name(self) -> str:
        words = "".join(f"-{c.lower()}" if c.isupper() else c for c in self.name)
        return f"{words.removeprefix('-')}.json"

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12, complete in itself."""
        if isinstance(self.source, TypeAdapter):
            schema = self.source.json_schema()
        else:
            schema = msgspec.json.schema(self.source)
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:postrider:schema:{self.name}:{self.version}",
            "title": self.name,
            "description": self.description,
        }
        return head | {name: part for name, part in schema.items() if name not in head}


@dataclass(frozen=True, slots=True)
class PublicTopic:
    """A topic that others write or read."""

    name: str
    record: PublicRecord
    key: str
    """What a record's key is."""
    writers: tuple[Writer, ...]
    description: str
    retention_days: int | None = 7
    """None: compacted by key."""
    max_bytes: int = MAX_RECORD_BYTES
    """Of one record, key and headers included; a larger one becomes a dead letter."""


NOTIFICATION_REQUEST = PublicRecord(
    "NotificationRequest", "1.0", "Tell one user once.", notification.NOTIFICATION_REQUEST
)
BROADCAST_REQUEST = PublicRecord(
    "BroadcastRequest", "1.0", "Tell an audience, or up to 10,000 named users.",
    notification.BROADCAST_REQUEST,
)  # fmt: skip
RECIPIENT = PublicRecord(
    "RecipientChange", "1.0",
    "What became known about a recipient. An absent member says nothing; a null one takes back "
    "what was said.",
    RECIPIENT_CHANGE,
)  # fmt: skip
CANCELLATION = PublicRecord(
    "Cancellation", "1.0", "Call off what no provider has yet.", notification.CANCELLATION
)
CONTROL = PublicRecord(
    "Control", "1.0", "Pause or resume a channel, type, tenant or provider.", notification.CONTROL
)
PROVIDER_REPORT = PublicRecord(
    "ProviderReport", "1.0", "What a provider says later about a message or an address.",
    TypeAdapter(ProviderReport),
)  # fmt: skip
RECEIPT = PublicRecord("Receipt", "1.0", "One fact about a delivery, or about a request.", Receipt)
DEAD_LETTER = PublicRecord(
    "DeadLetter", "1.0", "What was given up, with its cause. Bytes are base64.", DeadLetter
)

PUBLIC_RECORDS = (
    NOTIFICATION_REQUEST, BROADCAST_REQUEST, RECIPIENT, CANCELLATION, CONTROL,
    PROVIDER_REPORT, RECEIPT, DEAD_LETTER,
)  # fmt: skip

_BY_USER = "user_id, hashed by murmur2; a record in another partition is forwarded to its own"
_FOR_WHOM = (
    " A record may hold up to 1000 requests as a JSON array, under the key of any of their users. "
    "faust.yaml may keep the topic for some tenants: a request of another tenant, or of none, is "
    "rejected there (tenant_not_allowed)."
)

PUBLIC_TOPICS = (
    PublicTopic(
        topics.REQUESTED["critical"], NOTIFICATION_REQUEST, _BY_USER, ("producers", "api"),
        "What someone waits for: one-time passwords, alarms. Types below this lane are slowed "
        "to their own." + _FOR_WHOM,
    ),
    PublicTopic(
        topics.REQUESTED["normal"], NOTIFICATION_REQUEST, _BY_USER, ("producers", "api"),
        "What just happened: orders, messages, payments." + _FOR_WHOM,
    ),
    PublicTopic(
        topics.REQUESTED["bulk"], NOTIFICATION_REQUEST, _BY_USER, ("producers", "api"),
        "What may take its time: recommendations, news." + _FOR_WHOM,
    ),
    PublicTopic(
        topics.BROADCASTS_REQUESTED, BROADCAST_REQUEST, "any, such as the idempotency key",
        ("producers", "api"), "One event for many.",
    ),
    PublicTopic(
        topics.RECIPIENTS_CHANGED, RECIPIENT, _BY_USER, ("producers", "api"),
        "Addresses, preferences, devices, audiences. Senders obey an opt-out from here within a "
        "second.",
    ),
    PublicTopic(
        topics.NOTIFICATIONS_CANCELLED, CANCELLATION, "any", ("producers", "api"),
        "Stops what is still queued.",
    ),
    PublicTopic(
        topics.PROVIDERS_REPORTED, PROVIDER_REPORT,
        "user_id of the delivery; without one the address", ("api",),
        "Written by the receivers of the providers' webhooks, which check their signatures.",
    ),
    PublicTopic(
        topics.CONTROLS, CONTROL, "scope:name, such as channel:sms", ("operators",),
        "The last word on each pause; compacted.", retention_days=None,
    ),
    PublicTopic(
        topics.RECEIPTS, RECEIPT, "user_id", ("postrider",),
        "Every outcome of every delivery. Read it with isolation.level=read_committed.",
        retention_days=30,
    ),
    PublicTopic(
        topics.DEAD_LETTERS, DEAD_LETTER, "none", ("postrider",),
        "What `postrider dlq` lists, shows and replays.",
    ),
)  # fmt: skip
