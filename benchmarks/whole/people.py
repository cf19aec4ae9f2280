"""The recipients of a benchmark: a mailbox and a device each, wishes like people's, one audience."""

from collections.abc import Iterator

from schemas.kafka import Record
from schemas.recipient_events import ImportedDevice, ImportedRecipient, ImportedWish
from streams.importing.batching import Batches

AUDIENCE = "everyone"
AS_OF_MS = 1_767_225_600_000
_ZONES = (
    "Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo", "Asia/Kolkata",
    "Australia/Sydney", "Africa/Lagos", "America/Los_Angeles",
)  # fmt: skip
_QUIET = "03:30-03:31"
"""Checked for everybody, and hardly holding anybody up."""


def user_id(number: int) -> str:
    return f"user-{number:08d}"


def recipient(number: int) -> ImportedRecipient:
    return ImportedRecipient(
        user_id(number),
        AS_OF_MS,
        email=f"recipient.{number}@example.com",
        name=f"Recipient {number}",
        locale=("en", "de", "fr", "pt-BR")[number % 4],
        timezone=_ZONES[number % len(_ZONES)],
        wishes=(ImportedWish("email", True, _QUIET, 500),),
        types={"friend_joined": number % 3 == 0},
        audiences=(AUDIENCE,),
        devices=(ImportedDevice("phone", f"token-{number:056d}", "android"),) if number % 2 else (),
    )


def import_records(count: int, *, partitions: int) -> Iterator[Record]:
    """What `postrider recipients import` would write of them."""
    batches = Batches(partitions=partitions)
    for number in range(count):
        full = batches.add(recipient(number))
        if full is not None:
            yield full
    yield from batches.rest()
