"""Local time of a zone, cheap enough to be asked for every recipient.

A zone's offset from UTC is constant between its clock changes. It is found for a whole UTC
day at once and remembered, so that the common question costs two comparisons.
"""

from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000
_REMEMBERED_DAYS = 256


class Steady(NamedTuple):
    """A span without a clock change: from_ms <= instant < until_ms. May end without one, too."""

    from_ms: int
    until_ms: int
    offset_ms: int


class Zone:
    """One IANA zone. All instants are epoch milliseconds from 1970 on."""

    __slots__ = ("_days", "_info", "_steady", "name")

    def __init__(self, name: str) -> None:
        """Raises `KeyError` when there is no such zone."""
        if name not in zone_names():
            raise KeyError(name)
        self.name = name
        self._info = _info_of(name)
        self._days: dict[int, tuple[Steady, ...]] = {}
        self._steady = Steady(0, 0, 0)

    def steady(self, at_ms: int) -> Steady:
        """The span around an instant in which the zone's clocks do not change."""
        steady = self._steady
        if steady[0] <= at_ms < steady[1]:
            return steady
        self._steady = found = self._find(at_ms)
        return found

    def local_day(self, at_ms: int) -> int:
        """The calendar day there, as days since 1970-01-01."""
        return (at_ms + self.steady(at_ms).offset_ms) // DAY_MS

    def next_day_ms(self, at_ms: int) -> int:
        """The first later instant that is on another, later calendar day there."""
        today = self.local_day(at_ms)
        while True:
            steady = self.steady(at_ms)
            midnight_ms = (today + 1) * DAY_MS - steady.offset_ms
            if midnight_ms < steady.until_ms:
                return max(midnight_ms, at_ms)
            at_ms = steady.until_ms

    def _find(self, at_ms: int) -> Steady:
        day = at_ms // DAY_MS
        spans = self._days.get(day)
        if spans is None:
            if len(self._days) >= _REMEMBERED_DAYS:
                self._days.clear()
            spans = self._days[day] = self._spans(day * DAY_MS, (day + 1) * DAY_MS)
        return next(span for span in spans if at_ms < span.until_ms)

    def _spans(self, from_ms: int, until_ms: int) -> tuple[Steady, ...]:
        """A UTC day, split at its clock change; no zone has had two within 6 days since 1970."""
        before, after = self._offset_ms(from_ms), self._offset_ms(until_ms)
        if before == after:
            return (Steady(from_ms, until_ms, before),)
        change_ms = self._change_ms(from_ms, until_ms, before)
        return Steady(from_ms, change_ms, before), Steady(change_ms, until_ms, after)

    def _change_ms(self, start_ms: int, end_ms: int, before: int) -> int:
        """The first instant whose offset is another; clocks change on whole seconds."""
        low, high = start_ms // 1000, end_ms // 1000
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset_ms(middle * 1000) == before:
                low = middle
            else:
                high = middle
        return high * 1000

    def _offset_ms(self, at_ms: int) -> int:
        offset = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(self._info).utcoffset()
        assert offset is not None, "a zone's time is aware"
        return round(offset.total_seconds() * 1000)


class Zones:
    """Zones by name; one that is empty or not known is the default's."""

    __slots__ = ("_by_name", "default")

    def __init__(self, default: str = "UTC") -> None:
        """Raises `KeyError` when there is no zone of the default's name."""
        self.default = Zone(default)
        self._by_name: dict[str, Zone] = {default: self.default, "": self.default}

    def get(self, name: str) -> Zone:
        zone = self._by_name.get(name)
        if zone is None:
            if name not in zone_names():
                return self.default
            zone = self._by_name[name] = Zone(name)
        return zone


@cache
def _info_of(name: str) -> ZoneInfo:
    """From the package and not from the machine, so that all workers decide alike."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every zone there is, by the zone database that ships with us."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())
