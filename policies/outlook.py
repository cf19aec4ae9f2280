"""What the rules and somebody's wishes come to at one instant.

Of a million recipients many wish alike: what follows from wishes alone is found once for them.
"""

from typing import NamedTuple

from policies.legal import LegalBars
from policies.quiet_hours import parse_span
from policies.quiet_times import QuietTimes
from policies.rules import Category, Defaults, NotificationType, RateLimit, Rules
from policies.verdicts import Settle
from policies.zones import Zone, Zones
from schemas.delivery import Channel
from schemas.profile import ChannelWish, Wishes

_OPTED_OUT = {
    reason: Settle("suppressed", reason)
    for reason in ("opted_out_channel", "opted_out_type", "off_by_default")
}
_NO_WISH = ChannelWish()


class Plan:
    """What the rules say of one type and channel, looked up once instead of for each recipient."""

    __slots__ = (
        "category", "channel", "daily_limit", "is_capped", "is_fallback", "is_legally_bound",
        "is_mandatory", "is_on", "keeps_quiet_hours", "rate", "type_name",
    )  # fmt: skip

    def __init__(
        self, kind: NotificationType, channel: Channel, rules: Rules, legal: LegalBars
    ) -> None:
        category = kind.category
        self.type_name = kind.name
        self.channel: Channel = channel
        self.category = category
        self.is_fallback = channel not in kind.channels
        self.is_mandatory = category.mandatory
        self.is_on = is_on_by_default(category, channel, rules.defaults)
        self.rate: RateLimit | None = rules.per_user.get(channel)
        self.daily_limit = None if category.mandatory else category.daily_limit.get(channel)
        self.is_capped = self.rate is not None or not category.mandatory
        self.keeps_quiet_hours = category.quiet_hours
        self.is_legally_bound = category.legal_windows and legal.speak_of(channel)


class Outlook(NamedTuple):
    """For everybody with the same wishes, for one plan."""

    refused: Settle | None
    """The recipients' own wish."""
    own_limit: int | None
    """How many a day they want at the most, over all categories."""
    local_day: int
    zone: Zone
    times: QuietTimes
    is_timely: bool
    """Whether it is a time of day for it; when not, what follows depends on the expiry, too."""
    quiet: str
    """The times of day that are none, for whoever sends it later; see `QuietTimes.text`."""


def outlook_of(
    plan: Plan, wishes: Wishes, zones: Zones, legal: LegalBars, *, now_ms: int
) -> Outlook:
    """At one instant."""
    zone = zones.get(wishes.timezone)
    wish = wishes.channels.get(plan.channel, _NO_WISH)
    own = plan.keeps_quiet_hours and wish.quiet_hours
    times = QuietTimes(
        zone,
        legal=legal.at(zone.name) if plan.is_legally_bound else None,
        own=parse_span(own) if own else None,
    )
    return Outlook(
        refused=None if plan.is_mandatory else _refusal(plan, wish, wishes.types),
        own_limit=None if plan.is_mandatory else wish.daily_limit,
        local_day=0 if plan.is_mandatory else zone.local_day(now_ms),
        zone=zone,
        times=times,
        is_timely=times.bar(now_ms) is None,
        quiet=times.text(),
    )


def is_on_by_default(category: Category, channel: Channel, defaults: Defaults) -> bool:
    """What holds for a recipient who said nothing of the channel."""
    of_category = defaults.categories.get(category.name)
    if of_category is not None and channel in of_category:
        return of_category[channel]
    return defaults.channels.get(channel, True)


def _refusal(plan: Plan, wish: ChannelWish, types: dict[str, bool]) -> Settle | None:
    """The channel first, then the type."""
    if wish.enabled is None:
        if not plan.is_on:
            return _OPTED_OUT["off_by_default"]
    elif not wish.enabled:
        return _OPTED_OUT["opted_out_channel"]
    return None if types.get(plan.type_name, True) else _OPTED_OUT["opted_out_type"]
