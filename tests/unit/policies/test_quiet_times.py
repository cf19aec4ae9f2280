"""The times of day at which nothing may go out to somebody, as a delivery carries them."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.quiet_hours import DaySpan, parse_span, written
from policies.quiet_times import QuietTimes, quiet_times
from policies.verdicts import DELIVER, Defer, Settle
from policies.zones import DAY_MS, Zone

BERLIN = Zone("Europe/Berlin")
HOUR = 3_600_000
MINUTES = st.integers(0, 24 * 60 - 1)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@given(MINUTES, MINUTES)
def test_a_span_is_read_as_it_was_written(start: int, end: int) -> None:
    if start != end:
        span = DaySpan(start * 60_000, end * 60_000)
        assert parse_span(written(span)) == span


@pytest.mark.parametrize("legal", [None, parse_span("21:00-08:00")])
@pytest.mark.parametrize("own", [None, parse_span("23:00-07:00")])
def test_times_are_read_as_they_were_written(legal: DaySpan | None, own: DaySpan | None) -> None:
    times = QuietTimes(BERLIN, legal, own)

    if legal is None and own is None:
        assert times.text() == "", "most people have none, and a delivery carries nothing"
    else:
        read = quiet_times(times.text())
        assert (read.zone.name, read.legal, read.own) == (BERLIN.name, legal, own)


def test_the_law_is_told_before_the_persons_wish_and_both_must_be_over() -> None:
    times = quiet_times("Europe/Berlin 21:00-08:00 23:00-09:00")
    night, expires = ms("2026-06-01T02:00+02:00"), ms("2026-06-03T00:00+02:00")

    assert times.verdict(night, expires) == Defer(
        ms("2026-06-01T09:00+02:00"), "legal_window", is_counted=True
    )
    assert times.verdict(night, night + HOUR) == Settle("expired", "legal_window")
    assert times.verdict(ms("2026-06-01T08:30+02:00"), expires) == Defer(
        ms("2026-06-01T09:00+02:00"), "quiet_hours", is_counted=True
    )
    assert times.verdict(ms("2026-06-01T12:00+02:00"), expires) is DELIVER


def test_on_the_night_the_clocks_go_back_quiet_hours_end_by_the_wall_clock() -> None:
    times = quiet_times("Europe/Berlin - 23:00-02:45")
    first_half_past_two = ms("2026-10-25T02:30+02:00")

    verdict = times.verdict(first_half_past_two, first_half_past_two + DAY_MS)

    # 02:45 comes twice; the first time ends them, and the second 02:00 begins them again.
    assert verdict == Defer(ms("2026-10-25T02:45+02:00"), "quiet_hours", is_counted=True)
    again = ms("2026-10-25T02:10+01:00")
    assert times.verdict(again, again + DAY_MS) == Defer(
        ms("2026-10-25T02:45+01:00"), "quiet_hours", is_counted=True
    )
