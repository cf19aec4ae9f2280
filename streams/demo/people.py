"""Sample recipients: over forty time zones, with every kind of preference; the same for each seed."""

import random
from collections import defaultdict
from collections.abc import Iterator

from schemas.ids import partition_of
from schemas.recipient_events import (
    ImportBatch,
    ImportedDevice,
    ImportedRecipient,
    ImportedWish,
)

AUDIENCE = "newsletter"
_BATCH = 250

ZONES = (
    "Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Phoenix",
    "America/Denver", "America/Chicago", "America/Mexico_City", "America/New_York",
    "America/Toronto", "America/Bogota", "America/Lima", "America/Caracas", "America/Halifax",
    "America/Santiago", "America/St_Johns", "America/Sao_Paulo", "America/Argentina/Buenos_Aires",
    "Atlantic/Azores", "Africa/Casablanca", "Europe/London", "Europe/Lisbon", "Africa/Lagos",
    "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome", "Africa/Johannesburg",
    "Africa/Cairo", "Europe/Athens", "Europe/Helsinki", "Europe/Istanbul", "Africa/Nairobi",
    "Asia/Riyadh", "Asia/Dubai", "Asia/Kabul", "Asia/Karachi", "Asia/Kolkata", "Asia/Kathmandu",
    "Asia/Dhaka", "Asia/Bangkok", "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo",
    "Australia/Adelaide", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland",
    "Pacific/Chatham", "Pacific/Apia",
)  # fmt: skip
_LOCALES = ("en", "de", "fr", "pt-BR", "pt", "es")
_NAMES = ("Ada", "Bela", "Chidi", "Dora", "Emre", "Fatou", "Gustavo", "Hana", "Ines", "Jun")


def user_ids(count: int) -> list[str]:
    return [f"user-{number:05d}" for number in range(count)]


def recipients(count: int, *, now_ms: int, seed: int = 7) -> Iterator[ImportedRecipient]:
    """One after the other; about a tenth of them cannot be reached by one channel or another."""
    randomness = random.Random(seed)
    for number, user_id in enumerate(user_ids(count)):
        yield ImportedRecipient(
            user_id=user_id,
            occurred_ms=now_ms,
            email=f"{user_id}@example.org" if randomness.random() < 0.95 else "",
            phone=f"+1415555{number % 10_000:04d}" if randomness.random() < 0.9 else "",
            name=randomness.choice(_NAMES),
            locale=randomness.choice(_LOCALES),
            timezone=ZONES[number % len(ZONES)],
            wishes=tuple(_wishes(randomness)),
            types={"promotion": False} if randomness.random() < 0.05 else {},
            audiences=(AUDIENCE,) if randomness.random() < 0.5 else (),
            devices=(ImportedDevice("phone", f"token-{user_id}-demo", "android"),)
            if randomness.random() < 0.85
            else (),
        )


def batches(count: int, *, partitions: int, now_ms: int) -> Iterator[tuple[int, ImportBatch]]:
    """As records of `recipients.imported`, each with its partition."""
    waiting: dict[int, list[ImportedRecipient]] = defaultdict(list)
    for each in recipients(count, now_ms=now_ms):
        partition = partition_of(each.user_id, partitions)
        waiting[partition].append(each)
        if len(waiting[partition]) == _BATCH:
            yield partition, ImportBatch(waiting.pop(partition))
    for partition, left in waiting.items():
        yield partition, ImportBatch(left)


def _wishes(randomness: random.Random) -> Iterator[ImportedWish]:
    if randomness.random() < 0.2:
        yield ImportedWish("push", quiet_hours=randomness.choice(("22:00-07:00", "23:00-06:30")))
    if randomness.random() < 0.1:
        yield ImportedWish("email", daily_limit=randomness.randrange(1, 4))
    elif randomness.random() < 0.08:
        yield ImportedWish("email", enabled=False)
    if randomness.random() < 0.1:
        yield ImportedWish("sms", enabled=False)
