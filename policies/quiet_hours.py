"""Times of day at which nothing goes out, in the recipient's zone.

One rule holds: an instant is inside when the wall clock there is, and a deferral ends at the
first later instant that is outside. So a night in which clocks are put forward or back, a
02:30 that comes twice or not at all, and a day that is skipped need no cases of their own.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from policies.zones import DAY_MS, Zone

_FORM = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class DaySpan(NamedTuple):
    """A span of the day on a wall clock: its start is inside, its end is not.

    A start after the end means over midnight.
    """

    start_ms: int
    end_ms: int

    def inverted(self) -> "DaySpan":
        """The rest of the day."""
        return DaySpan(self.end_ms, self.start_ms)


@lru_cache(maxsize=4096)
def parse_span(text: str) -> DaySpan:
    """Read `23:00-07:00`. Raises `ValueError` for any other form, and for a span of no length."""
    found = _FORM.fullmatch(text)
    if found is None or text[:5] == text[6:]:
        raise ValueError(f"expected HH:MM-HH:MM with two different times, got {text!r}")
    hour, minute, end_hour, end_minute = map(int, found.groups())
    return DaySpan((hour * 60 + minute) * 60_000, (end_hour * 60 + end_minute) * 60_000)


def written(span: DaySpan) -> str:
    """What `parse_span` reads."""

    def clock(ms: int) -> str:
        hour, minute = divmod(ms // 60_000, 60)
        return f"{hour:02}:{minute:02}"

    return f"{clock(span.start_ms)}-{clock(span.end_ms)}"


def is_inside(at_ms: int, zone: Zone, span: DaySpan) -> bool:
    start_ms, end_ms = span
    clock_ms = (at_ms + zone.steady(at_ms)[2]) % DAY_MS
    if start_ms < end_ms:
        return start_ms <= clock_ms < end_ms
    return clock_ms >= start_ms or clock_ms < end_ms


def end_ms(at_ms: int, zone: Zone, span: DaySpan) -> int:
    """The first instant, not before `at_ms`, that is outside."""
    while is_inside(at_ms, zone, span):
        steady = zone.steady(at_ms)
        to_go_ms = (span.end_ms - at_ms - steady.offset_ms) % DAY_MS
        # Past a clock change the wall clock must be read anew: it may be outside already, or
        # further from the end than it was.
        at_ms = min(at_ms + to_go_ms, steady.until_ms)
    return at_ms


def first_free_ms(at_ms: int, zone: Zone, barred: Sequence[DaySpan], until_ms: int) -> int | None:
    """The first instant, not before `at_ms`, outside of all spans; None when not before `until_ms`."""
    while at_ms < until_ms:
        free_ms = at_ms
        for span in barred:
            free_ms = end_ms(free_ms, zone, span)
        if free_ms == at_ms:
            return at_ms
        at_ms = free_ms
    return None
