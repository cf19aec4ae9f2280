"""Items as the decide role's sources bring them, what keeps them, and readers of what is remembered."""

from collections.abc import Sequence
from typing import Any

from agents.keep_recipients import KeepRecipients, RecipientNews
from agents.stage import Item
from schemas.kafka import Record
from schemas.profile import Profile
from schemas.recipient import RECIPIENT_CHANGE, RecipientChange
from schemas.recipient_events import (
    AddressEvent,
    DerivedChange,
    ImportBatch,
    ImportedRecipient,
    decode_address_events,
    decode_derived,
)
from schemas.topics import ADDRESSES_CHANGED, RECIPIENTS_DERIVED
from tables import recipients
from tests.doubles import BatchOf, Driven, MemoryState, drive

NOON_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z
T0 = "2026-03-01T12:00:00Z"
KEY = b"an address key"


def change(kind: str, user_id: str = "ann", **fields: Any) -> Item[RecipientChange]:
    """A record of recipients.changed; `at` is the second of its minute (default 0)."""
    second = fields.pop("at", 0)
    offset = fields.pop("offset", second)
    value = {
        "change": kind, "user_id": user_id, "source": "user",
        "occurred_at": f"2026-03-01T12:00:{second:02d}Z", **fields,
    }  # fmt: skip
    return Item(RECIPIENT_CHANGE.validate_python(value, strict=False), offset=offset)


def profile_of(state: MemoryState, user_id: str = "ann") -> Profile:
    (profile,) = recipients.get_many(state, [user_id])
    assert profile is not None
    return profile


def address_events(records: list[Record]) -> list[AddressEvent]:
    values = [record.value for record in records if record.topic == ADDRESSES_CHANGED]
    return [event for value in values if value for event in decode_address_events(value)]


def derived(records: list[Record]) -> list[DerivedChange]:
    values = [record.value for record in records if record.topic == RECIPIENTS_DERIVED]
    return [fact for value in values if value for fact in decode_derived(value)]


async def keep(state: MemoryState, *items: Item[Any]) -> Driven:
    stage = KeepRecipients(partitions=4, address_key=KEY)
    values: Sequence[Item[RecipientNews]] = items
    return await drive(stage, BatchOf(values, NOON_MS, state))


def imported(user_id: str = "ann", at: int = 0, **fields: Any) -> Item[ImportBatch]:
    line = ImportedRecipient(user_id, NOON_MS + at * 1000, **fields)
    return Item(ImportBatch([line]), offset=at)
