"""The decision for one user and channel: deliver, defer, or settle with a reason.

The order of the questions is part of the contract, since the first one that says no gives
the reason: known type and channel; cancelled or expired; asked for later; suppressed or opted
out; an address; caps; legal window and quiet hours.
"""

from dataclasses import dataclass

from policies import caps as counting
from policies.caps import Caps
from policies.legal import LegalBars
from policies.quiet_hours import DaySpan, first_free_ms, is_inside, parse_span
from policies.reasons import Reason
from policies.rules import Category, Defaults, NotificationType, RateLimit, Rules
from policies.zones import Zone, Zones
from schemas.delivery import CHANNELS, Channel
from schemas.profile import Profile
from schemas.receipt import Status


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand it to the channel now, and count it."""


@dataclass(frozen=True, slots=True)
class Defer:
    """Decide again at `until_ms`, which is before the expiry."""

    until_ms: int
    reason: Reason
    is_counted: bool
    """True: it is decided and counts now, so the wake only rechecks. False: the wake decides
    it as if it came then (`scheduled`, and `daily_limit` where a category defers)."""


@dataclass(frozen=True, slots=True)
class Settle:
    """It is never sent. Not counted."""

    status: Status
    reason: Reason


Verdict = Deliver | Defer | Settle

DELIVER = Deliver()
_UNKNOWN_TYPE = Settle("rejected", "unknown_type")
_NOT_IN_TYPE = Settle("rejected", "channel_not_in_type")
_NO_ADDRESS = Settle("rejected", "no_address")
_ADDRESS_GONE = Settle("suppressed", "address_gone")
_CANCELLED = Settle("cancelled", "cancelled")
_EXPIRED = Settle("expired", "ttl")
_SUPPRESSED = Settle("suppressed", "suppressed_address")
_OPTED_OUT = {
    reason: Settle("suppressed", reason)
    for reason in ("opted_out_channel", "opted_out_type", "off_by_default")
}
_RATE_LIMITED = Settle("suppressed", "rate_limited")
_DAILY_LIMIT = Settle("suppressed", "daily_limit")


class _Plan:
    """What the rules say of one type and channel, looked up once instead of for each recipient."""

    __slots__ = (
        "allows_first", "category", "daily_limit", "is_fallback", "is_legally_bound",
        "is_mandatory", "is_on", "keeps_quiet_hours", "rate", "type_name",
    )  # fmt: skip

    def __init__(
        self, kind: NotificationType, channel: Channel, rules: Rules, legal: LegalBars
    ) -> None:
        category = kind.category
        self.type_name = kind.name
        self.category = category
        self.is_fallback = channel not in kind.channels
        self.is_mandatory = category.mandatory
        self.is_on = is_on_by_default(category, channel, rules.defaults)
        self.rate: RateLimit | None = rules.per_user.get(channel)
        self.daily_limit = None if category.mandatory else category.daily_limit.get(channel)
        self.allows_first = self.daily_limit != 0 and (self.rate is None or self.rate.count > 0)
        self.keeps_quiet_hours = category.quiet_hours
        self.is_legally_bound = category.legal_windows and legal.speak_of(channel)


class Admission:
    """The decisions of one set of rules. Pure: the same arguments give the same verdict."""

    def __init__(self, rules: Rules) -> None:
        """Raises `KeyError` for an unknown default zone, `ValueError` for a bad legal window."""
        self.zones = Zones(rules.defaults.timezone)
        self._legal = LegalBars(rules.legal_windows)
        self._types = rules.types
        self._plans = {
            (kind.name, channel): _Plan(kind, channel, rules, self._legal)
            for kind in rules.types.values()
            for channel in CHANNELS
            if channel in kind.channels or channel in kind.fallback
        }

    def admit(
        self,
        type_name: str,
        channel: Channel,
        profile: Profile,
        caps: Caps,
        *,
        now_ms: int,
        expires_ms: int,
        send_ms: int | None = None,
        is_cancelled: bool = False,
        is_fallback: bool = False,
    ) -> Verdict:
        """Decide for the first time. `is_fallback`: also channels that are the type's fallback only.

        After `Deliver`, and after a `Defer` that is counted, the caller keeps `counted(...)`.
        """
        plan = self._plans.get((type_name, channel))
        if plan is None or (plan.is_fallback and not is_fallback):
            return _NOT_IN_TYPE if type_name in self._types else _UNKNOWN_TYPE
        if is_cancelled:
            return _CANCELLED
        if expires_ms <= now_ms:
            return _EXPIRED
        if send_ms is not None and send_ms > now_ms:
            return _defer(send_ms, "scheduled", expires_ms, is_counted=False)
        refused = _refusal(plan, channel, profile, now_ms)
        if refused is not None:
            return refused
        if not has_address(profile, channel):
            return _NO_ADDRESS
        if plan.rate is not None or not plan.is_mandatory:
            over = self._over(plan, channel, profile, caps, now_ms, expires_ms)
            if over is not None:
                return over
        return self._timely(plan, channel, profile, now_ms, expires_ms)

    def recheck(
        self,
        type_name: str,
        channel: Channel,
        profile: Profile,
        *,
        now_ms: int,
        expires_ms: int,
        is_cancelled: bool = False,
    ) -> Verdict:
        """Decide again what was deferred and counted: everything but the caps."""
        plan = self._plans.get((type_name, channel))
        if plan is None:  # taken out of the configuration while it waited
            return _NOT_IN_TYPE if type_name in self._types else _UNKNOWN_TYPE
        if is_cancelled:
            return _CANCELLED
        if expires_ms <= now_ms:
            return _EXPIRED
        refused = _refusal(plan, channel, profile, now_ms)
        if refused is not None:
            return refused
        if not has_address(profile, channel):
            return _ADDRESS_GONE
        return self._timely(plan, channel, profile, now_ms, expires_ms)

    def counted(
        self, type_name: str, channel: Channel, profile: Profile, caps: Caps, now_ms: int
    ) -> Caps:
        """The caps after one more was decided at `now_ms`."""
        plan = self._plans[type_name, channel]
        if plan.is_mandatory:
            if plan.rate is None:
                return caps
            return counting.count(caps, now_ms=now_ms, local_day=0, rate=plan.rate, category=None)
        local_day = self._zone(profile).local_day(now_ms)
        return counting.count(
            caps,
            now_ms=now_ms,
            local_day=local_day,
            rate=plan.rate,
            category=plan.category.name,
        )

    def _over(
        self,
        plan: _Plan,
        channel: Channel,
        profile: Profile,
        caps: Caps,
        now_ms: int,
        expires_ms: int,
    ) -> Verdict | None:
        """What follows when a cap is reached; None while there is room."""
        own_limit = None
        if not plan.is_mandatory:
            wish = profile.wishes.channels.get(channel)
            if wish is not None:
                own_limit = wish.daily_limit
        if caps is counting.NOTHING and plan.allows_first and own_limit != 0:
            return None
        zone = self._zone(profile)
        broken = counting.exceeded(
            caps,
            now_ms=now_ms,
            local_day=zone.local_day(now_ms),
            rate=plan.rate,
            category=plan.category.name,
            category_limit=plan.daily_limit,
            own_limit=own_limit,
        )
        if broken is None:
            return None
        if broken == "rate_limited":
            return _RATE_LIMITED
        if plan.category.over_limit == "suppress":
            return _DAILY_LIMIT
        return _defer(zone.next_day_ms(now_ms), "daily_limit", expires_ms, is_counted=False)

    def _timely(
        self, plan: _Plan, channel: Channel, profile: Profile, now_ms: int, expires_ms: int
    ) -> Verdict:
        """Whether it is a time of day for it; when not, the first one that is."""
        if not plan.keeps_quiet_hours and not plan.is_legally_bound:
            return DELIVER
        quiet = _quiet_hours(profile, channel) if plan.keeps_quiet_hours else None
        if quiet is None and not plan.is_legally_bound:
            return DELIVER
        zone = self._zone(profile)
        illegal = self._legal.at(zone.name) if plan.is_legally_bound else None
        reason: Reason
        if illegal is not None and is_inside(now_ms, zone, illegal):
            reason = "legal_window"
        elif quiet is not None and is_inside(now_ms, zone, quiet):
            reason = "quiet_hours"
        else:
            return DELIVER
        barred = [span for span in (illegal, quiet) if span is not None]
        free_ms = first_free_ms(now_ms, zone, barred, expires_ms)
        if free_ms is None:
            return Settle("expired", reason)
        return Defer(free_ms, reason, is_counted=True)

    def _zone(self, profile: Profile) -> Zone:
        return self.zones.get(profile.wishes.timezone)


def is_on_by_default(category: Category, channel: Channel, defaults: Defaults) -> bool:
    """What holds for a recipient who said nothing of the channel."""
    of_category = defaults.categories.get(category.name)
    if of_category is not None and channel in of_category:
        return of_category[channel]
    return defaults.channels.get(channel, True)


def has_address(profile: Profile, channel: Channel) -> bool:
    """Whether the channel has somewhere to go. The in-app inbox is the user's own, until deleted."""
    match channel:
        case "push":
            return bool(profile.devices)
        case "email":
            return profile.email is not None
        case "sms":
            return profile.phone is not None
        case "in_app":
            return not profile.deleted_ms or _is_known_again(profile)


def _is_known_again(profile: Profile) -> bool:
    """Anything but the opt-outs that outlive a deletion was said after it."""
    said = profile.name, profile.locale, profile.wishes.timezone, profile.email, profile.phone
    return any(said) or bool(profile.devices)


def _refusal(plan: _Plan, channel: Channel, profile: Profile, now_ms: int) -> Settle | None:
    """A suppression; or, unless the type is mandatory, the recipient's wish."""
    if profile.suppressions:
        suppression = profile.suppressions.get(channel)
        if suppression is not None and not 0 < suppression.until_ms <= now_ms:
            return _SUPPRESSED
    if plan.is_mandatory:
        return None
    wishes = profile.wishes
    wish = wishes.channels.get(channel)
    if wish is None or wish.enabled is None:
        if not plan.is_on:
            return _OPTED_OUT["off_by_default"]
    elif not wish.enabled:
        return _OPTED_OUT["opted_out_channel"]
    if not wishes.types.get(plan.type_name, True):
        return _OPTED_OUT["opted_out_type"]
    return None


def _quiet_hours(profile: Profile, channel: Channel) -> DaySpan | None:
    wish = profile.wishes.channels.get(channel)
    return parse_span(wish.quiet_hours) if wish is not None and wish.quiet_hours else None


def _defer(until_ms: int, reason: Reason, expires_ms: int, *, is_counted: bool) -> Defer | Settle:
    if until_ms >= expires_ms:
        return Settle("expired", reason)
    return Defer(until_ms, reason, is_counted)
