"""Kinds of values that several inbound contracts share, with their bounds.

Everything is strict: a number is not taken for a string, nor a string for a number, since a
producer's mistake is cheapest to find in the first record it writes.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_DEPTH = 16
"""Levels of objects and arrays inside `data`; templates never go near it."""
MAX_METADATA_BYTES = 1024

_LARGEST_INTEGER = 2**63


class Contract(BaseModel):
    """An inbound record or part of one: strict, immutable, no unknown field."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


def _in_utc(instant: datetime) -> datetime:
    if not 1970 < instant.year < 9999:
        raise PydanticCustomError("instant_out_of_range", "Year should be from 1971 to 9998")
    return instant.astimezone(UTC)


def _instant_form(value: Any) -> Any:
    """A number, even as text, would be taken for seconds, or milliseconds, since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise PydanticCustomError("instant_form", "Instants should be RFC 3339 text")


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON lets through but a template, a row or a provider would choke on."""
    _check_plain(value, MAX_DEPTH)
    return value


def _check_plain(value: Any, levels_left: int) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise PydanticCustomError("nul_character", "Text should not contain NUL")
    elif isinstance(value, dict):
        if levels_left == 0:
            raise PydanticCustomError("too_deep", "Nesting should be at most 16 levels")
        for name, member in value.items():
            if "\0" in name:
                raise PydanticCustomError("nul_character", "Names should not contain NUL")
            _check_plain(member, levels_left - 1)
    elif isinstance(value, list):
        if levels_left == 0:
            raise PydanticCustomError("too_deep", "Nesting should be at most 16 levels")
        for member in value:
            _check_plain(member, levels_left - 1)
    elif isinstance(value, float):
        if value - value != 0.0:
            raise PydanticCustomError("number_not_finite", "Numbers should be finite")
    elif isinstance(value, int) and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        raise PydanticCustomError("number_too_large", "Integers should fit 64 bits")


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(_plain(metadata))) > MAX_METADATA_BYTES:
        raise PydanticCustomError("metadata_too_large", "Metadata should be at most 1 KB as JSON")
    return metadata


_VISIBLE = r"^[^\s\p{C}]+$"

UserId = Annotated[str, Field(min_length=1, max_length=128, pattern=_VISIBLE)]
"""Visible characters only, so that ids can be parts of keys and safely printed."""
Key = Annotated[str, Field(min_length=1, max_length=255, pattern=_VISIBLE)]
Name = Annotated[str, Field(min_length=1, max_length=128, pattern=_VISIBLE)]
"""A type, tenant, audience, device, provider: chosen by a program."""
Label = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\P{C}*$")]
"""Chosen by a person: may contain spaces, no control characters."""
CollapseKey = Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
"""APNs takes at most 64 bytes."""
Id = Annotated[str, Field(pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
"""UUID text, as receipts and `postrider send` show it."""

Instant = Annotated[
    AwareDatetime,
    Field(strict=False),  # or text would be refused once a validator of ours has seen it
    BeforeValidator(_instant_form),
    AfterValidator(_in_utc),
]
"""RFC 3339 with an offset; a naive time is refused, since nobody could say which hour it is."""
Data = Annotated[dict[str, Any], AfterValidator(_plain)]
Metadata = Annotated[dict[str, str | int | float | bool | None], AfterValidator(_small)]
"""Flat, small, echoed on receipts."""
