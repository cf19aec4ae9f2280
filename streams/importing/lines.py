"""`ImportLine`: what a file says of one recipient, validated by the same rules as a change."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from schemas.addresses import Email, Locale, Phone, Timezone
from schemas.fields import Contract, Instant, Label, Name, UserId
from schemas.instants import to_ms
from schemas.recipient import Platform, Preferences, Token
from schemas.recipient_events import ImportedDevice, ImportedRecipient, ImportedWish

MAX_AUDIENCES = 200
MAX_DEVICES = 32
"""What a profile keeps; more in one line would only push each other out."""


class ImportedDeviceLine(Contract):
    device_id: Name
    token: Token
    platform: Platform


class ImportLine(Contract):
    """One recipient of a file. What is absent or null is not spoken of."""

    user_id: UserId
    email: Email | None = None
    phone: Phone | None = None
    name: Label | None = None
    locale: Locale | None = None
    timezone: Timezone | None = None
    preferences: Preferences | None = None
    audiences: Annotated[list[Name], Field(max_length=MAX_AUDIENCES)] | None = None
    devices: Annotated[list[ImportedDeviceLine], Field(max_length=MAX_DEVICES)] | None = None
    occurred_at: Instant | None = None
    """When this was true; the file's own time when absent."""


class Row(NamedTuple):
    """One recipient as it was read: its place in the file, and JSON text or named members."""

    line: int
    content: bytes | dict[str, Any]


class BadLine(NamedTuple):
    """What is wrong with one line of a file; `problem` never repeats a value."""

    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.problem}" if self.field else (
            f"line {self.line}: {self.problem}"
        )  # fmt: skip


_LINE = TypeAdapter(ImportLine)


def parse(row: Row, *, as_of_ms: int) -> ImportedRecipient | list[BadLine]:
    """The recipient in normal form, or everything that is wrong with the line."""
    content = row.content
    try:
        if isinstance(content, bytes):
            line = _LINE.validate_json(content)
        else:
            line = _LINE.validate_python(content)
    except ValidationError as error:
        return bad_lines(row.line, error)
    return _imported(line, as_of_ms)


def bad_lines(number: int, error: ValidationError) -> list[BadLine]:
    return [
        BadLine(number, field_of(each["loc"]), each["msg"].removeprefix("Value error, "))
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def field_of(location: Sequence[str | int]) -> str:
    """`preferences.push.quiet_hours`, `devices[0].token`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".")


def _imported(line: ImportLine, as_of_ms: int) -> ImportedRecipient:
    wishes: tuple[ImportedWish, ...] = ()
    types: dict[str, bool] = {}
    if line.preferences is not None:
        types = line.preferences.types
        wishes = tuple(
            ImportedWish(channel, wish.enabled, wish.quiet_hours or "", wish.daily_limit)
            for channel, wish in line.preferences.by_channel()
        )
    return ImportedRecipient(
        line.user_id,
        as_of_ms if line.occurred_at is None else to_ms(line.occurred_at),
        line.email or "",
        line.phone or "",
        line.name or "",
        line.locale or "",
        line.timezone or "",
        wishes,
        types,
        tuple(line.audiences or ()),
        tuple(ImportedDevice(d.device_id, d.token, d.platform) for d in line.devices or ()),
    )
