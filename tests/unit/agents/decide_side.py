"""What tests of deciding stages share: rules, terms, recipients, and readers of what came out."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from agents.decide import Decide
from agents.dispatch import DispatchTerms
from agents.stage import Item
from policies.rules import Category, Defaults, NotificationType, RateLimit, Rules
from schemas.delivery import CHANNELS, Channel, DeliveryBatch, Lane, decode_batch
from schemas.ids import address_hash
from schemas.kafka import Record
from schemas.notification import NotificationRequest
from schemas.profile import (
    Address,
    ChannelWish,
    Device,
    Profile,
    Suppression,
    Wishes,
    pack_wishes,
)
from schemas.receipt import Receipt, decode_receipt
from schemas.topics import RECEIPTS, REQUESTED
from tables import recipients
from tables.waiting import SCHEDULE, Waiting, decode_due
from tests.doubles import BatchOf, Driven, MemoryState, drive

NOW_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
PARTITIONS = 4
TOPIC = "notifications.requested"
KEY = b"key"
NONE: Mapping[bytes, int] = {}
"""Nothing was called off."""
LANES: dict[str, Lane] = {topic: lane for lane, topic in REQUESTED.items()}

_SECURITY = Category("security", mandatory=True, in_doubt="resend", lane="critical")
_TRANSACTIONAL = Category("transactional", quiet_hours=True)
_MARKETING = Category(
    "marketing", lane="bulk", quiet_hours=True, daily_limit={"email": 2, "push": 2}
)
_DIGEST = Category("digest", lane="bulk", daily_limit={"email": 1}, over_limit="defer")
_KINDS = (
    NotificationType("login_code", _SECURITY, ("sms",), ttl_seconds=300),
    NotificationType("order_confirmed", _TRANSACTIONAL, ("push", "email"), ("sms", "in_app")),
    NotificationType("promotion", _MARKETING, ("email",)),
    NotificationType("digest", _DIGEST, ("email",), ttl_seconds=3 * 86_400),
    NotificationType("everywhere", _TRANSACTIONAL, ("push", "email", "sms", "in_app")),
)
RULES = Rules(
    {kind.name: kind for kind in _KINDS},
    defaults=Defaults(timezone="Europe/Berlin"),
    per_user={"sms": RateLimit(3, 3600)},
)


def terms(*, cancelled: Mapping[bytes, int] = NONE, rules: Rules = RULES) -> DispatchTerms:
    return DispatchTerms(
        rules=rules,
        partitions=PARTITIONS,
        address_key=KEY,
        sms_senders=("us_main", "eu_main"),
        cancelled=lambda ids: {each: cancelled[each] for each in cancelled.keys() & ids},
    )


def request(
    *,
    user_id: str = "ann",
    type_name: str = "promotion",
    offset: int = 0,
    appended_ms: int = NOW_MS,
    topic: str = TOPIC,
    headers: tuple[tuple[str, bytes], ...] = (),
    **fields: Any,
) -> Item[NotificationRequest]:
    value = {"user_id": user_id, "type": type_name, **fields}
    request = NotificationRequest.model_validate_json(msgspec.json.encode(value))
    return Item(request, topic, 0, offset, appended_ms, headers)


def profile(
    *,
    on: dict[Channel, bool] | None = None,
    quiet: str = "",
    suppressed: Channel | None = None,
    devices: int = 1,
    **members: Any,
) -> Profile:
    """Somebody in Berlin who can be reached by every channel."""
    wanted = on or {}
    about = CHANNELS if quiet else wanted
    wishes = Wishes(
        "Europe/Berlin", {channel: ChannelWish(wanted.get(channel), quiet) for channel in about}
    )
    given: dict[str, Any] = {
        "name": "Ann",
        "email": address("email", "ann@example.com"),
        "phone": address("sms", "+15550100123"),
        "devices": tuple(device(f"device-{n}", f"token-{n}") for n in range(devices)),
        "suppressions": {suppressed: Suppression("bounced", 1)} if suppressed else {},
        "packed_wishes": pack_wishes(wishes),
    }
    return Profile(**(given | members))


def address(channel: Channel, text: str) -> Address:
    return Address(text, address_hash(KEY, channel, text))


def device(device_id: str, token: str) -> Device:
    return Device(device_id, token, "ios", 1, address_hash(KEY, "push", token))


def state_with(*, partition: int = 0, **profiles: Profile) -> MemoryState:
    rows = [recipients.put(user_id, each) for user_id, each in profiles.items()]
    return MemoryState(partition, rows)


async def decide(
    state: MemoryState,
    *items: Item[NotificationRequest],
    now_ms: int = NOW_MS,
    cancelled: Mapping[bytes, int] = NONE,
    tenants: Mapping[str, Collection[str]] | None = None,
) -> Driven:
    stage = Decide(terms=terms(cancelled=cancelled), lanes=LANES, tenants=tenants or {})
    return await drive(stage, BatchOf(items, now_ms, state))


def waiting(state: MemoryState) -> list[tuple[int, Waiting]]:
    rows = SCHEDULE.due(state, NOW_MS + 400 * DAY, 100)
    due = [(SCHEDULE.due_ms_of(key), decode_due(value)) for key, value in rows]
    return [(due_ms, each) for due_ms, each in due if isinstance(each, Waiting)]


def batches(records: list[Record]) -> list[tuple[Record, DeliveryBatch]]:
    return [
        (record, decode_batch(record.value))
        for record in records
        if record.topic.startswith("deliveries.") and record.value
    ]


def receipts(records: list[Record]) -> list[Receipt]:
    return [decode_receipt(each.value) for each in records if each.topic == RECEIPTS and each.value]


def told(records: list[Record]) -> list[tuple[str, str, str]]:
    """(channel, status, reason) of every receipt, in order."""
    return [(each.channel, each.status, each.reason) for each in receipts(records)]
