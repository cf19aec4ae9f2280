"""The decision for one user and channel: deliver, defer, or settle with a reason.

The order of the questions is part of the contract, since the first one that says no gives
the reason: known type and channel; cancelled or expired; asked for later; suppressed or opted
out; an address; caps; legal window and quiet hours.
"""

from typing import Literal, NamedTuple

from policies import caps as counting
from policies.caps import Caps
from policies.legal import LegalBars
from policies.outlook import Outlook, Outlooks, Plan
from policies.rules import Rules
from policies.verdicts import Settle, Verdict, defer
from policies.zones import Zones
from schemas.delivery import CHANNELS, Channel
from schemas.profile import Profile

_UNKNOWN_TYPE = Settle("rejected", "unknown_type")
_NOT_IN_TYPE = Settle("rejected", "channel_not_in_type")
_NO_ADDRESS = Settle("rejected", "no_address")
_ADDRESS_GONE = Settle("suppressed", "address_gone")
_CANCELLED = Settle("cancelled", "cancelled")
_EXPIRED = Settle("expired", "ttl")
_SUPPRESSED = Settle("suppressed", "suppressed_address")
_RATE_LIMITED = Settle("suppressed", "rate_limited")
_DAILY_LIMIT = Settle("suppressed", "daily_limit")


class Admission:
    """The decisions of one set of rules."""

    def __init__(self, rules: Rules) -> None:
        """Raises `KeyError` for an unknown default zone, `ValueError` for a bad legal window."""
        self.types = rules.types
        self.zones = Zones(rules.defaults.timezone)
        self.legal = LegalBars(rules.legal_windows)
        self.plans = {
            (kind.name, channel): Plan(kind, channel, rules, self.legal)
            for kind in rules.types.values()
            for channel in CHANNELS
            if channel in kind.channels or channel in kind.fallback
        }

    def at(self, now_ms: int) -> "AdmissionAt":
        """The decisions of one batch: all of them at its instant."""
        return AdmissionAt(self, now_ms)


class _Weighed(NamedTuple):
    """Caps held against their limits, and as they are after one more."""

    held: Caps
    broken: Literal["rate_limited", "daily_limit"] | None
    counted: Caps


class AdmissionAt:
    """Pure: the same arguments give the same verdict. What is alike for many is found once."""

    def __init__(self, admission: Admission, now_ms: int) -> None:
        self._admission = admission
        self._now_ms = now_ms
        self._outlooks = Outlooks(admission.zones, admission.legal, now_ms)
        self._weighed: dict[tuple[Plan, int, int, int | None], _Weighed] = {}

    def admit(
        self,
        type_name: str,
        channel: Channel,
        profile: Profile,
        caps: Caps,
        *,
        expires_ms: int,
        send_ms: int | None = None,
        is_cancelled: bool = False,
        is_fallback: bool = False,
    ) -> Verdict:
        """Decide for the first time. `is_fallback`: also channels that are the type's fallback only.

        After `Deliver`, and after a `Defer` that is counted, the caller keeps `counted(...)`.
        """
        plan = self._admission.plans.get((type_name, channel))
        if plan is None or (plan.is_fallback and not is_fallback):
            return _NOT_IN_TYPE if type_name in self._admission.types else _UNKNOWN_TYPE
        if is_cancelled:
            return _CANCELLED
        if expires_ms <= self._now_ms:
            return _EXPIRED
        if send_ms is not None and send_ms > self._now_ms:
            return defer(send_ms, "scheduled", expires_ms, is_counted=False)
        outlook = self._outlooks.of(plan, profile.wishes, expires_ms)
        refused = self._refusal(channel, profile, outlook)
        if refused is not None:
            return refused
        if not has_address(profile, channel):
            return _NO_ADDRESS
        if plan.is_capped:
            broken = self._weigh(plan, caps, outlook).broken
            if broken is not None:
                return self._over(plan, outlook, broken, expires_ms)
        return outlook.timely

    def recheck(
        self,
        type_name: str,
        channel: Channel,
        profile: Profile,
        *,
        expires_ms: int,
        is_cancelled: bool = False,
    ) -> Verdict:
        """Decide again what was deferred and counted: everything but the caps."""
        plan = self._admission.plans.get((type_name, channel))
        if plan is None:  # taken out of the configuration while it waited
            return _NOT_IN_TYPE if type_name in self._admission.types else _UNKNOWN_TYPE
        if is_cancelled:
            return _CANCELLED
        if expires_ms <= self._now_ms:
            return _EXPIRED
        outlook = self._outlooks.of(plan, profile.wishes, expires_ms)
        refused = self._refusal(channel, profile, outlook)
        if refused is not None:
            return refused
        return outlook.timely if has_address(profile, channel) else _ADDRESS_GONE

    def counted(
        self, type_name: str, channel: Channel, profile: Profile, caps: Caps, *, expires_ms: int
    ) -> Caps:
        """The caps after one more was decided."""
        plan = self._admission.plans[type_name, channel]
        outlook = self._outlooks.of(plan, profile.wishes, expires_ms)
        return self._weigh(plan, caps, outlook).counted

    def quiet(self, type_name: str, channel: Channel, profile: Profile, *, expires_ms: int) -> str:
        """The times of day at which it must not be sent, should it be sent later than now."""
        plan = self._admission.plans[type_name, channel]
        return self._outlooks.of(plan, profile.wishes, expires_ms).quiet

    def _refusal(self, channel: Channel, profile: Profile, outlook: Outlook) -> Settle | None:
        """A suppression; or the recipient's wish."""
        if profile.suppressions:
            suppression = profile.suppressions.get(channel)
            if suppression is not None and not 0 < suppression.until_ms <= self._now_ms:
                return _SUPPRESSED
        return outlook.refused

    def _weigh(self, plan: Plan, caps: Caps, outlook: Outlook) -> _Weighed:
        """Many users have been reached as often: their caps are one object, kept alive here."""
        key = (plan, id(caps), outlook.local_day, outlook.own_limit)
        weighed = self._weighed.get(key)
        if weighed is None:
            weighed = self._weighed[key] = self._held_against(plan, caps, outlook)
        return weighed

    def _held_against(self, plan: Plan, caps: Caps, outlook: Outlook) -> _Weighed:
        broken = counting.exceeded(
            caps,
            now_ms=self._now_ms,
            local_day=outlook.local_day,
            rate=plan.rate,
            category=plan.category.name,
            category_limit=plan.daily_limit,
            own_limit=outlook.own_limit,
        )
        counted = counting.count(
            caps,
            now_ms=self._now_ms,
            local_day=outlook.local_day,
            rate=plan.rate,
            category=None if plan.is_mandatory else plan.category.name,
        )
        return _Weighed(caps, broken, counted)

    def _over(
        self,
        plan: Plan,
        outlook: Outlook,
        broken: Literal["rate_limited", "daily_limit"],
        expires_ms: int,
    ) -> Verdict:
        """What follows when a cap is reached."""
        if broken == "rate_limited":
            return _RATE_LIMITED
        if plan.category.over_limit == "suppress":
            return _DAILY_LIMIT
        next_day_ms = outlook.zone.next_day_ms(self._now_ms)
        return defer(next_day_ms, "daily_limit", expires_ms, is_counted=False)


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
