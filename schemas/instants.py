"""Instants are epoch milliseconds inside, aware datetimes and RFC 3339 text at the edges."""

from datetime import UTC, datetime
from functools import lru_cache


def to_ms(instant: datetime) -> int:
    """Epoch milliseconds of an aware datetime."""
    return round(instant.timestamp() * 1000)


_LAST_MS = to_ms(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


def rfc3339(instant_ms: int) -> str:
    """In UTC with milliseconds, so that texts sort as the instants do.

    An instant past the calendar, which only a foreign clock can claim, is told as its last.
    """
    instant_ms = min(max(instant_ms, 0), _LAST_MS)
    return f"{_to_the_second(instant_ms // 1000)}.{instant_ms % 1000:03d}Z"


@lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    """What happens now happens a thousand times a second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
