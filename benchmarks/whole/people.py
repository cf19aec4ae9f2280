"""The recipients of a benchmark: a mailbox, perhaps a device, wishes like people's, one audience.

Plain ones have what most lists hold: a mailbox, a name, a zone, and the wishes for one channel.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from schemas.kafka import Record
from schemas.recipient_events import ImportedDevice, ImportedRecipient, ImportedWish
from streams.importing.batching import Batches

AUDIENCE = "everyone"
AS_OF_MS = 1_767_225_600_000
_ZONES = (
    "Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo", "Asia/Kolkata",
    "Australia/Sydney", "Africa/Lagos", "America/Los_Angeles",
)  # fmt: skip


def _a_minute_at_half_past_three(zone: str) -> str:
    """By UTC, wherever they are: checked for everybody, and holding nobody up but then."""
    begins = datetime(2026, 1, 1, 3, 30, tzinfo=UTC).astimezone(ZoneInfo(zone))
    return f"{begins:%H:%M}-{begins + timedelta(minutes=1):%H:%M}"


_QUIET = {zone: _a_minute_at_half_past_three(zone) for zone in _ZONES}


def user_id(number: int) -> str:
    return f"user-{number:08d}"


def plain_recipient(number: int) -> ImportedRecipient:
    zone = _ZONES[number % len(_ZONES)]
    return ImportedRecipient(
        user_id(number),
        AS_OF_MS,
        email=f"recipient.{number}@example.com",
        name=f"Recipient {number}",
        locale=("en", "de", "fr", "pt-BR")[number % 4],
        timezone=zone,
        wishes=(ImportedWish("email", True, _QUIET[zone], 500),),
    )


def recipient(number: int) -> ImportedRecipient:
    return msgspec.structs.replace(
        plain_recipient(number),
        types={"friend_joined": number % 3 == 0},
        audiences=(AUDIENCE,),
        devices=(ImportedDevice("phone", f"token-{number:056d}", "android"),) if number % 2 else (),
    )


def import_records(
    count: int, *, partitions: int, who: Callable[[int], ImportedRecipient] = recipient
) -> Iterator[Record]:
    """What `postrider recipients import` would write of them."""
    batches = Batches(partitions=partitions)
    for number in range(count):
        full = batches.add(who(number))
        if full is not None:
            yield full
    yield from batches.rest()
