"""Instants are epoch milliseconds inside, aware datetimes and RFC 3339 text at the edges."""

from datetime import UTC, datetime


def to_ms(instant: datetime) -> int:
    """Epoch milliseconds of an aware datetime."""
    return round(instant.timestamp() * 1000)


_LAST_MS = to_ms(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


def rfc3339(instant_ms: int) -> str:
    """In UTC with milliseconds, so that texts sort as the instants do.

    An instant past the calendar, which only a foreign clock can claim, is told as its last.
    """
    instant_ms = min(max(instant_ms, 0), _LAST_MS)
    instant = datetime.fromtimestamp(instant_ms // 1000, UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant_ms % 1000:03d}Z"
