"""Local time of zones, against Python's own arithmetic around every clock change of two years."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import pytest

from policies.quiet_hours import end_ms, is_inside, parse_span
from policies.zones import DAY_MS, Zone, Zones, zone_names

MINUTE_MS = 60_000
FROM = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
WEEKS = 105
SPANS = ("23:00-07:00", "01:15-02:45", "00:00-00:30", "08:00-21:00")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def python_zone(name: str) -> ZoneInfo:
    """From the package: a machine's own zone files may be of another year."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def clock_changes(zone: ZoneInfo) -> Iterator[int]:
    """Epoch minutes at which the zone's offset becomes another, by halving weeks."""
    for week in range(WEEKS):
        low = FROM + timedelta(weeks=week)
        high = low + timedelta(weeks=1)
        before = low.astimezone(zone).utcoffset()
        if high.astimezone(zone).utcoffset() == before:
            continue
        while high - low > timedelta(minutes=1):
            middle = low + (high - low) / 2
            if middle.astimezone(zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        yield round(high.timestamp() / 60)


def distinct_changes() -> list[tuple[str, int]]:
    """A zone and a minute for each change that no other zone has alike."""
    found: dict[tuple[int, object], str] = {}
    for name in sorted(zone_names()):
        zone = python_zone(name)
        for minute in clock_changes(zone):
            after = datetime.fromtimestamp(minute * 60, UTC).astimezone(zone).utcoffset()
            found.setdefault((minute, after), name)
    return [(name, minute) for (minute, _), name in found.items()]


def test_quiet_hours_end_at_the_first_minute_outside_in_every_night_that_clocks_change() -> None:
    changes = distinct_changes()
    assert len(changes) > 50

    for name, change in changes:
        zone, known = Zone(name), python_zone(name)
        first = change - 20 * 60
        walls = [
            (moment.hour * 60 + moment.minute)
            for minute in range(first, change + 30 * 60)
            for moment in [datetime.fromtimestamp(minute * 60, UTC).astimezone(known)]
        ]
        for text in SPANS:
            span = parse_span(text)
            start, end = span.start_ms // MINUTE_MS, span.end_ms // MINUTE_MS
            inside = [
                start <= wall < end if start < end else wall >= start or wall < end
                for wall in walls
            ]
            for place in range(0, 22 * 60, 13):
                at_ms = (first + place) * MINUTE_MS
                expected = (first + inside.index(False, place)) * MINUTE_MS
                assert is_inside(at_ms, zone, span) == inside[place], (name, text, at_ms)
                assert end_ms(at_ms, zone, span) == expected, (name, text, at_ms)


def test_local_days_are_those_of_the_wall_clock_around_every_change_of_clocks() -> None:
    """Daily limits count by them, and wait for the next one."""
    for name, change in distinct_changes():
        zone, known = Zone(name), python_zone(name)
        minutes = range(change - 20 * 60, change + 30 * 60)
        days = [
            datetime.fromtimestamp(minute * 60, UTC).astimezone(known).toordinal() - EPOCH_DAY
            for minute in minutes
        ]
        for place in range(0, 22 * 60, 13):
            at_ms = minutes[place] * MINUTE_MS
            later = next(p for p in range(place, len(days)) if days[p] > days[place])
            assert zone.local_day(at_ms) == days[place], (name, at_ms)
            assert zone.next_day_ms(at_ms) == minutes[later] * MINUTE_MS, (name, at_ms)


@pytest.mark.parametrize(
    ("zone", "span", "at", "end"),
    [
        # an ordinary night, from the evening and from the morning side
        ("Europe/Berlin", "23:00-07:00", "2026-06-01T21:00Z", "2026-06-02T05:00Z"),
        ("Europe/Berlin", "23:00-07:00", "2026-06-02T04:59Z", "2026-06-02T05:00Z"),
        # the start is inside, the end is not
        ("UTC", "12:00-13:00", "2026-06-01T12:00Z", "2026-06-01T13:00Z"),
        ("UTC", "12:00-13:00", "2026-06-01T13:00Z", "2026-06-01T13:00Z"),
        # clocks go back at 03:00 and 02:30 comes twice: it is past 02:45 once, but not for good
        ("Europe/Berlin", "22:00-02:45", "2026-10-25T00:30Z", "2026-10-25T00:45Z"),
        ("Europe/Berlin", "22:00-02:45", "2026-10-25T00:50Z", "2026-10-25T00:50Z"),
        ("Europe/Berlin", "22:00-02:45", "2026-10-25T01:30Z", "2026-10-25T01:45Z"),
        # clocks go forward over the end: there is no 02:30, so it ends with the change
        ("Europe/Berlin", "22:00-02:30", "2026-03-29T00:30Z", "2026-03-29T01:00Z"),
        # the whole span does not exist that night
        ("Europe/Berlin", "02:00-03:00", "2026-03-29T00:59Z", "2026-03-29T00:59Z"),
        ("Europe/Berlin", "02:00-03:00", "2026-03-29T01:00Z", "2026-03-29T01:00Z"),
        # half an hour of daylight saving: 02:00 comes again as 01:30
        ("Australia/Lord_Howe", "23:00-02:15", "2026-04-04T14:45Z", "2026-04-04T15:45Z"),
        # clocks change at midnight: 00:00 does not exist
        ("Africa/Cairo", "22:00-00:30", "2026-04-23T21:30Z", "2026-04-23T22:00Z"),
        # a whole day is skipped: the 29th is followed by the 31st
        ("Pacific/Apia", "23:00-07:00", "2011-12-30T09:30Z", "2011-12-30T17:00Z"),
        # an offset that is no whole hour
        ("Asia/Kathmandu", "23:00-07:00", "2026-06-01T18:00Z", "2026-06-02T01:15Z"),
    ],
)
def test_quiet_hours_end(zone: str, span: str, at: str, end: str) -> None:
    assert end_ms(ms(at), Zone(zone), parse_span(span)) == ms(end)


@pytest.mark.parametrize("text", ["", "23-7", "24:00-07:00", "7:00-9:00", "08:00-08:00", "a\n"])
def test_quiet_hours_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected HH:MM-HH:MM"):
        parse_span(text)


def test_an_empty_or_unknown_zone_is_the_default() -> None:
    zones = Zones("Asia/Tokyo")

    assert zones.get("").name == "Asia/Tokyo"
    assert zones.get("Mars/Olympus").name == "Asia/Tokyo"
    assert zones.get("../../etc/passwd").name == "Asia/Tokyo"
    assert zones.get("Europe/Paris").name == "Europe/Paris"


def test_an_unknown_default_zone_is_refused() -> None:
    with pytest.raises(KeyError):
        Zones("Mars/Olympus")


@pytest.mark.parametrize(
    ("zone", "at", "next_day"),
    [
        ("UTC", "2026-06-01T12:00Z", "2026-06-02T00:00Z"),
        ("Asia/Tokyo", "2026-06-01T14:59Z", "2026-06-01T15:00Z"),
        # midnight does not exist: the day begins at 01:00
        ("Africa/Cairo", "2026-04-23T12:00Z", "2026-04-23T22:00Z"),
        # a day of 25 hours
        ("Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        # the next day is the day after tomorrow
        ("Pacific/Apia", "2011-12-30T09:30Z", "2011-12-30T10:00Z"),
    ],
)
def test_the_next_local_day_begins(zone: str, at: str, next_day: str) -> None:
    local = Zone(zone)

    assert local.next_day_ms(ms(at)) == ms(next_day)
    assert local.local_day(ms(next_day)) > local.local_day(ms(next_day) - 1)


def test_a_zone_answers_alike_in_any_order_of_questions() -> None:
    instants = [ms("2026-10-25T00:00Z") + step * 7 * MINUTE_MS for step in range(400)]
    forwards, backwards = Zone("Europe/Berlin"), Zone("Europe/Berlin")

    asked = [forwards.local_day(each) for each in instants]

    assert asked == [backwards.local_day(each) for each in reversed(instants)][::-1]
    assert forwards.steady(instants[0]).until_ms - forwards.steady(instants[0]).from_ms < DAY_MS
