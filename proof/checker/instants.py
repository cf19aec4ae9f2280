"""Instants as epoch milliseconds, and what a wall clock shows at them; plain and slow, so memoised."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000
NEVER_MS = 1 << 60
_LONGEST_BAR_MINUTES = 3 * 24 * 60
"""Longer than any span with a clock change in it, and a skipped day."""


def ms_of(text: str) -> int:
    """Of RFC 3339 text."""
    if len(text) == 24 and text[23] == "Z":  # as receipts have it
        return _minute_ms(text[:16]) + int(text[17:19]) * 1000 + int(text[20:23])
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@lru_cache(maxsize=4096)
def _minute_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    """From the package, as the pipeline's: two databases may differ by a year's decrees."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _local(minute: int, zone: str) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC).astimezone(_zone(zone))


@lru_cache(maxsize=1 << 16)
def _clock(minute: int, zone: str) -> str:
    return f"{_local(minute, zone):%H:%M}"


def local_day(at_ms: int, zone: str) -> int:
    """The calendar day there, as the proleptic ordinal."""
    return _local(at_ms // MINUTE_MS, zone).toordinal()


def is_inside(at_ms: int, zone: str, span: str) -> bool:
    """Whether the wall clock there is inside `23:00-07:00`: the start is, the end is not.

    Clocks change on whole minutes, and a span begins and ends on one.
    """
    clock = _clock(at_ms // MINUTE_MS, zone)
    start, end = span[:5], span[6:]
    if start < end:
        return start <= clock < end
    return clock >= start or clock < end


@lru_cache(maxsize=1 << 14)
def _free_minute(minute: int, zone: str, spans: tuple[str, ...]) -> int:
    for later in range(minute, minute + _LONGEST_BAR_MINUTES):
        if not any(is_inside(later * MINUTE_MS, zone, span) for span in spans):
            return later
    return NEVER_MS // MINUTE_MS


def first_free_ms(at_ms: int, zone: str, spans: tuple[str, ...]) -> int:
    """The first instant, not before `at_ms`, that is outside of all spans; NEVER_MS, if together
    they leave no minute of a day free."""
    if not any(is_inside(at_ms, zone, span) for span in spans):
        return at_ms
    return _free_minute(at_ms // MINUTE_MS + 1, zone, spans) * MINUTE_MS


def next_day_ms(at_ms: int, zone: str) -> int:
    """The first minute of the next calendar day there."""
    minute = at_ms // MINUTE_MS + 1
    today = local_day(at_ms, zone)
    while local_day(minute * MINUTE_MS, zone) <= today:
        minute += 1
    return minute * MINUTE_MS


def text_of(at_ms: int) -> str:
    """As the report shows it."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def inverted(span: str) -> str:
    """The rest of the day."""
    return f"{span[6:]}-{span[:5]}"
