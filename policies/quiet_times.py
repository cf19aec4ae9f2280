"""When nothing may go out to somebody: by law, and by their own wish.

Asked when a delivery is decided, and again right before it is sent: what had to wait for hours
in between, for a provider or a worker, must not wake anybody.
"""

from functools import lru_cache
from typing import NamedTuple

from policies.quiet_hours import DaySpan, first_free_ms, is_inside, parse_span, written
from policies.reasons import Reason
from policies.verdicts import DELIVER, Settle, Verdict, defer
from policies.zones import Zone

_NONE = "-"
_HOT_TIMES = 8192


class QuietTimes(NamedTuple):
    """Spans of the day in the recipient's zone."""

    zone: Zone
    legal: DaySpan | None
    own: DaySpan | None

    def bar(self, now_ms: int) -> Reason | None:
        """Why it is no time of day for it; None when it is one."""
        zone, legal, own = self
        if legal is not None and is_inside(now_ms, zone, legal):
            return "legal_window"
        if own is not None and is_inside(now_ms, zone, own):
            return "quiet_hours"
        return None

    def verdict(self, now_ms: int, expires_ms: int) -> Verdict:
        """Whether it is a time of day for it; when not, the first one that is."""
        reason = self.bar(now_ms)
        if reason is None:
            return DELIVER
        barred = [span for span in (self.legal, self.own) if span is not None]
        free_ms = first_free_ms(now_ms, self.zone, barred, expires_ms)
        if free_ms is None:
            return Settle("expired", reason)
        return defer(free_ms, reason, expires_ms, is_counted=True)

    def text(self) -> str:
        """As a delivery carries it: `Europe/Berlin 21:00-08:00 23:00-07:00`; "" for never."""
        if self.legal is None and self.own is None:
            return ""
        spans = (written(span) if span is not None else _NONE for span in (self.legal, self.own))
        return f"{self.zone.name} {' '.join(spans)}"


@lru_cache(maxsize=_HOT_TIMES)
def quiet_times(text: str) -> QuietTimes:
    """What `QuietTimes.text` wrote."""
    zone, *spans = text.split(" ")
    legal, own = (None if span == _NONE else parse_span(span) for span in spans)
    return QuietTimes(_zone(zone), legal, own)


_zone = lru_cache(maxsize=None)(Zone)
