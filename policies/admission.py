"""The decision for one user and channel: deliver, defer, or settle with a reason.

The order of the questions is part of the contract, since the first one that says no gives
the reason: known type and channel; cancelled or expired; asked for later; suppressed or opted
out; an address; caps; legal window and quiet hours.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from policies import caps as counting
from policies.caps import Caps
from policies.legal import LegalBars
from policies.outlook import Outlook, Plan, outlook_of
from policies.rules import Rules
from policies.verdicts import DELIVER, Defer, Deliver, Settle, Verdict, defer
from policies.zones import Zones
from schemas.delivery import CHANNELS, Channel
from schemas.profile import Profile


class Ruling(NamedTuple):
    """What is decided, and what follows."""

    verdict: Verdict
    counted: Caps | None = None
    """The caps after it; None where nothing is counted."""
    quiet: str = ""
    """The times of day at which it must not be sent, should that be later than now."""


_UNKNOWN_TYPE = Ruling(Settle("rejected", "unknown_type"))
_NOT_IN_TYPE = Ruling(Settle("rejected", "channel_not_in_type"))
_NO_ADDRESS = Ruling(Settle("rejected", "no_address"))
_ADDRESS_GONE = Ruling(Settle("suppressed", "address_gone"))
_CANCELLED = Ruling(Settle("cancelled", "cancelled"))
_EXPIRED = Ruling(Settle("expired", "ttl"))
_SUPPRESSED = Ruling(Settle("suppressed", "suppressed_address"))
_RATE_LIMITED = Settle("suppressed", "rate_limited")
_DAILY_LIMIT = Settle("suppressed", "daily_limit")


class Admission:
    """The decisions of one set of rules. Pure: the same arguments give the same ruling."""

    def __init__(self, rules: Rules) -> None:
        """Raises `KeyError` for an unknown default zone, `ValueError` for a bad legal window."""
        self.zones = Zones(rules.defaults.timezone)
        self.legal = LegalBars(rules.legal_windows)
        self._types = rules.types
        self._plans = {
            (kind.name, channel): Plan(kind, channel, rules, self.legal)
            for kind in rules.types.values()
            for channel in CHANNELS
            if channel in kind.channels or channel in kind.fallback
        }

    def case(
        self,
        type_name: str,
        channel: Channel,
        *,
        now_ms: int,
        send_ms: int | None = None,
        is_fallback: bool = False,
    ) -> "Case":
        """`is_fallback`: also channels that are the type's fallback only."""
        plan = self._plans.get((type_name, channel))
        if plan is None or (plan.is_fallback and not is_fallback):
            return Case(self, None, _NOT_IN_TYPE if type_name in self._types else _UNKNOWN_TYPE)
        later_ms = send_ms if send_ms is not None and send_ms > now_ms else 0
        return Case(self, plan, now_ms=now_ms, later_ms=later_ms)


class Case:
    """One type and channel at one instant. Ask it of everybody whom it concerns: what is alike for
    many, their wishes and how often they were reached, is weighed once."""

    def __init__(
        self,
        admission: Admission,
        plan: Plan | None,
        refused: Ruling | None = None,
        *,
        now_ms: int = 0,
        later_ms: int = 0,
    ) -> None:
        """`refused` is the ruling on all where there is no plan; `later_ms` is when it was asked for,
        0 for now."""
        self._admission = admission
        self._plan = plan
        self._refused = refused
        self._now_ms = now_ms
        self._later_ms = later_ms
        self._crowds: dict[bytes, _Crowd] = {}
        self._has_address = _HAS_ADDRESS[plan.channel] if plan is not None else None

    def rule(
        self, profile: Profile, caps: Caps, expires_ms: int, *, is_cancelled: bool = False
    ) -> Ruling:
        """Decide for the first time. What is `counted` is for the caller to keep."""
        crowd = self._ask(profile, expires_ms, is_cancelled, _NO_ADDRESS)
        return crowd.ruling(caps, expires_ms) if isinstance(crowd, _Crowd) else crowd

    def rule_again(
        self, profile: Profile, expires_ms: int, *, is_cancelled: bool = False
    ) -> Ruling:
        """Decide what was deferred and counted: everything but the caps."""
        crowd = self._ask(profile, expires_ms, is_cancelled, _ADDRESS_GONE)
        return crowd.uncounted(expires_ms) if isinstance(crowd, _Crowd) else crowd

    def _ask(
        self, profile: Profile, expires_ms: int, is_cancelled: bool, no_address: Ruling
    ) -> "_Crowd | Ruling":
        """Those who wish alike; or the first answer that is no."""
        if self._refused is not None:
            return self._refused
        if is_cancelled:
            return _CANCELLED
        if expires_ms <= self._now_ms:
            return _EXPIRED
        if self._later_ms:
            return Ruling(defer(self._later_ms, "scheduled", expires_ms, is_counted=False))
        crowd = self._crowds.get(profile.packed_wishes)
        if crowd is None:
            crowd = self._crowds[profile.packed_wishes] = self._crowd(profile)
        if profile.suppressions and self._is_suppressed(profile):
            return _SUPPRESSED
        if crowd.refused is not None:
            return crowd.refused
        assert self._has_address is not None, "an unknown channel has been ruled on"
        return crowd if self._has_address(profile) else no_address

    def _crowd(self, profile: Profile) -> "_Crowd":
        assert self._plan is not None, "an unknown type has been ruled on"
        admission = self._admission
        outlook = outlook_of(
            self._plan, profile.wishes, admission.zones, admission.legal, now_ms=self._now_ms
        )
        return _Crowd(self._plan, outlook, self._now_ms)

    def _is_suppressed(self, profile: Profile) -> bool:
        assert self._plan is not None, "an unknown type has been ruled on"
        suppression = profile.suppressions.get(self._plan.channel)
        return suppression is not None and not 0 < suppression.until_ms <= self._now_ms


class _Crowd:
    """Everybody with the same wishes; they differ only in how often they were reached."""

    def __init__(self, plan: Plan, outlook: Outlook, now_ms: int) -> None:
        self._plan = plan
        self._outlook = outlook
        self._now_ms = now_ms
        self._rulings: dict[int, tuple[Caps, int, Ruling]] = {}
        self.refused = Ruling(outlook.refused) if outlook.refused is not None else None
        self._at_once = Ruling(DELIVER, None, outlook.quiet)
        self._later: dict[int, Ruling] = {}
        """By expiry."""

    def uncounted(self, expires_ms: int) -> Ruling:
        """Whatever the caps."""
        outlook = self._outlook
        if outlook.is_timely:
            return self._at_once
        ruling = self._later.get(expires_ms)
        if ruling is None:
            verdict = outlook.times.verdict(self._now_ms, expires_ms)
            ruling = self._later[expires_ms] = Ruling(verdict, None, outlook.quiet)
        return ruling

    def ruling(self, caps: Caps, expires_ms: int) -> Ruling:
        """Equal caps are one object, mostly: so it stands for them here, kept alive by us. As for the
        expiry, the last one is remembered: a broadcast has one, and requests come in order."""
        if not self._plan.is_capped:
            return self.uncounted(expires_ms)
        known = self._rulings.get(id(caps))
        if known is None or known[1] != expires_ms:
            known = self._rulings[id(caps)] = (caps, expires_ms, self._weigh(caps, expires_ms))
        return known[2]

    def _weigh(self, caps: Caps, expires_ms: int) -> Ruling:
        plan, outlook = self._plan, self._outlook
        broken = counting.exceeded(
            caps,
            now_ms=self._now_ms,
            local_day=outlook.local_day,
            rate=plan.rate,
            category=plan.category.name,
            category_limit=plan.daily_limit,
            own_limit=outlook.own_limit,
        )
        if broken is not None:
            return Ruling(self._over(broken, expires_ms))
        ruling = self.uncounted(expires_ms)
        verdict = ruling.verdict
        if not isinstance(verdict, Deliver) and not (
            isinstance(verdict, Defer) and verdict.is_counted
        ):
            return ruling
        counted = counting.count(
            caps,
            now_ms=self._now_ms,
            local_day=outlook.local_day,
            rate=plan.rate,
            category=None if plan.is_mandatory else plan.category.name,
        )
        return Ruling(verdict, counted, outlook.quiet)

    def _over(self, broken: Literal["rate_limited", "daily_limit"], expires_ms: int) -> Verdict:
        """What follows when a cap is reached."""
        if broken == "rate_limited":
            return _RATE_LIMITED
        if self._plan.category.over_limit == "suppress":
            return _DAILY_LIMIT
        next_day_ms = self._outlook.zone.next_day_ms(self._now_ms)
        return defer(next_day_ms, "daily_limit", expires_ms, is_counted=False)


def _has_inbox(profile: Profile) -> bool:
    """It is the user's own, until deleted: unless anything but the opt-outs that outlive a deletion
    was said after it."""
    said = profile.name, profile.locale, profile.wishes.timezone, profile.email, profile.phone
    return not profile.deleted_ms or any(said) or bool(profile.devices)


_HAS_ADDRESS: Mapping[Channel, Callable[[Profile], bool]] = {
    "push": lambda profile: bool(profile.devices),
    "email": lambda profile: profile.email is not None,
    "sms": lambda profile: profile.phone is not None,
    "in_app": _has_inbox,
}
"""Whether a channel has somewhere to go."""
