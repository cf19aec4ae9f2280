"""Options that are more than a word: instants, durations, rates. A mistake names its option."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from policies.rules import RateLimit
from schemas.fields import Instant
from schemas.instants import to_ms
from streams.cli.errors import Mistake
from streams.config_values import Duration, Rate

_INSTANT: TypeAdapter[Any] = TypeAdapter(Instant)
_DURATION = TypeAdapter(Duration)
_RATE = TypeAdapter(Rate)


def duration_seconds(option: str, text: str) -> float:
    """`90s`, `5m`, `24h`, `7d`."""
    seconds: float = _read(option, _DURATION, text)
    return seconds


def rate(option: str, text: str) -> RateLimit:
    """`100/s`, `600/m`."""
    limit: RateLimit = _read(option, _RATE, text)
    return limit


def instant_ms(option: str, text: str) -> int:
    """RFC 3339 with an offset."""
    return to_ms(_read(option, _INSTANT, text))


def past_ms(option: str, text: str, *, now_ms: int) -> int:
    """An instant, or how long ago: `2h`."""
    if text[4:5] == "-":
        return instant_ms(option, text)
    return now_ms - round(1000 * duration_seconds(option, text))


def _read(option: str, kind: TypeAdapter[Any], text: str) -> Any:
    try:
        return kind.validate_python(text)
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Mistake(f"{option}: {told[:1].lower()}{told[1:]}") from None
