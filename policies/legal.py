"""Times of day at which the law, or a carrier, allows advertising; outside of them it waits.

In the United States 47 CFR 64.1200(c)(1) allows 8:00 to 21:00 of the recipient's local time;
some states allow less. An operator names the zones where another window holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.quiet_hours import DaySpan, parse_span
from schemas.delivery import Channel


@dataclass(frozen=True, slots=True)
class LegalWindows:
    """The windows as an operator writes them: `08:00-21:00` is allowed, the rest is not."""

    channels: frozenset[Channel] = frozenset({"sms"})
    """Channels that the law speaks of; the others are never held back by it."""
    default: str = "08:00-21:00"
    by_zone: Mapping[str, str] = field(default_factory=dict)
    """Zone name to the window there."""


class LegalBars:
    """The same windows as the spans in which nothing may go out. Raises `ValueError` on a bad one."""

    def __init__(self, windows: LegalWindows) -> None:
        self._channels = windows.channels
        self._default = parse_span(windows.default).inverted()
        self._by_zone = {
            zone: parse_span(window).inverted() for zone, window in windows.by_zone.items()
        }

    def speak_of(self, channel: Channel) -> bool:
        return channel in self._channels

    def at(self, zone_name: str) -> DaySpan:
        """When nothing may go out to a recipient of this zone."""
        return self._by_zone.get(zone_name, self._default)
