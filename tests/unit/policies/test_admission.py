"""The decision table of one user and channel, one row a rule, in the order of the questions."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.admission import Admission, Ruling
from policies.caps import NOTHING, Caps
from policies.fallback import Exhausted, GoOn, go_on
from policies.legal import LegalWindows
from policies.quiet_hours import is_inside, parse_span
from policies.reasons import EXPLANATIONS, REASONS
from policies.rules import Category, Defaults, NotificationType, RateLimit, Rules
from policies.verdicts import DELIVER, Defer, Deliver, Settle, Verdict
from schemas.delivery import CHANNELS, Channel
from schemas.profile import (
    Address,
    ChannelWish,
    Device,
    Profile,
    Suppression,
    Wishes,
    pack_wishes,
)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


NOON = ms("2026-06-01T12:00Z")
HOUR = 3_600_000
DAY = 24 * HOUR

SECURITY = Category("security", mandatory=True, in_doubt="resend", lane="critical")
TRANSACTIONAL = Category("transactional", quiet_hours=True)
MARKETING = Category(
    "marketing",
    lane="bulk",
    quiet_hours=True,
    legal_windows=True,
    daily_limit={"email": 3, "push": 2},
)
PATIENT = replace(MARKETING, name="patient", over_limit="defer")
RULES = Rules(
    types={
        "login_code": NotificationType("login_code", SECURITY, ("sms", "email")),
        "order": NotificationType("order", TRANSACTIONAL, ("push", "email", "in_app"), ("sms",)),
        "promotion": NotificationType("promotion", MARKETING, ("push", "email", "sms")),
        "digest": NotificationType("digest", PATIENT, ("email",)),
    },
    defaults=Defaults(timezone="UTC", categories={"marketing": {"sms": False}}),
    per_user={"email": RateLimit(5, 3600), "sms": RateLimit(2, 3600)},
    legal_windows=LegalWindows(by_zone={"America/Chicago": "09:00-20:00"}),
)
ADMISSION = Admission(RULES)


def wish(enabled: bool | None = None, quiet: str = "", limit: int | None = None) -> ChannelWish:
    return ChannelWish(enabled, quiet, limit)


def person(
    *,
    zone: str = "",
    channels: dict[str, ChannelWish] | None = None,
    types: dict[str, bool] | None = None,
    barred: dict[str, Suppression] | None = None,
) -> Profile:
    """Someone whom every channel can reach."""
    return Profile(
        email=Address("ada@example.com", b"hash"),
        phone=Address("+4915112345678", b"hash"),
        devices=(Device("d1", "token", "ios", 1, b"hash"),),
        packed_wishes=pack_wishes(Wishes(zone, channels or {}, types or {})),
        suppressions=barred or {},
    )


NOBODY = Profile()
BARRED = Suppression("bounced", 1)


def admit(
    type_name: str,
    channel: Channel,
    profile: Profile,
    caps: Caps = NOTHING,
    *,
    now_ms: int = NOON,
    ttl_ms: int = DAY,
    send_ms: int | None = None,
    is_cancelled: bool = False,
    is_fallback: bool = False,
) -> Verdict:
    case = ADMISSION.case(
        type_name, channel, now_ms=now_ms, send_ms=send_ms, is_fallback=is_fallback
    )
    return case.rule(profile, caps, now_ms + ttl_ms, is_cancelled=is_cancelled).verdict


def after(
    count: int, type_name: str, channel: Channel, profile: Profile, now_ms: int = NOON
) -> Caps:
    caps: Caps | None = NOTHING
    for _ in range(count):
        case = ADMISSION.case(type_name, channel, now_ms=now_ms)
        assert caps is not None, "an earlier one was not counted"
        caps = case.rule(profile, caps, now_ms + DAY).counted
    assert caps is not None
    return caps


ALL_OFF: dict[str, ChannelWish] = {channel: wish(enabled=False) for channel in CHANNELS}

TABLE: list[tuple[str, Verdict, Verdict]] = [
    # 1. known type, channel within the type's
    ("a type that nobody declared",
     admit("unheard_of", "email", person()), Settle("rejected", "unknown_type")),
    ("a channel that the type does not have",
     admit("login_code", "push", person()), Settle("rejected", "channel_not_in_type")),
    ("a channel that the type has for fallback only",
     admit("order", "sms", person()), Settle("rejected", "channel_not_in_type")),
    ("the same, as a fallback", admit("order", "sms", person(), is_fallback=True), DELIVER),
    # 2. cancelled, expired; asked for later
    ("cancelled", admit("order", "email", person(), is_cancelled=True),
     Settle("cancelled", "cancelled")),
    ("cancelled and expired", admit("order", "email", person(), ttl_ms=0, is_cancelled=True),
     Settle("cancelled", "cancelled")),
    ("expired this instant", admit("order", "email", person(), ttl_ms=0), Settle("expired", "ttl")),
    ("an instant before", admit("order", "email", person(), ttl_ms=1), DELIVER),
    ("asked for later", admit("order", "email", NOBODY, send_ms=NOON + HOUR),
     Defer(NOON + HOUR, "scheduled", is_counted=False)),
    ("asked for after its expiry", admit("order", "email", person(), send_ms=NOON + DAY),
     Settle("expired", "scheduled")),
    ("asked for an hour ago", admit("order", "email", person(), send_ms=NOON - HOUR), DELIVER),
    # 3. suppressed, then opted out of the channel, then of the type
    ("address suppressed, and also opted out",
     admit("order", "email", person(barred={"email": BARRED}, channels=ALL_OFF)),
     Settle("suppressed", "suppressed_address")),
    ("suppressed until a moment ago",
     admit("order", "email", person(barred={"email": Suppression("full", 1, NOON)})), DELIVER),
    ("suppressed for a moment more",
     admit("order", "email", person(barred={"email": Suppression("full", 1, NOON + 1)})),
     Settle("suppressed", "suppressed_address")),
    ("another channel's address suppressed",
     admit("order", "email", person(barred={"sms": BARRED})), DELIVER),
    ("opted out of the channel, and of the type",
     admit("order", "email", person(channels=ALL_OFF, types={"order": False})),
     Settle("suppressed", "opted_out_channel")),
    ("opted out of the type", admit("order", "email", person(types={"order": False})),
     Settle("suppressed", "opted_out_type")),
    ("opted out of another type", admit("order", "email", person(types={"promotion": False})),
     DELIVER),
    ("off by default", admit("promotion", "sms", person()),
     Settle("suppressed", "off_by_default")),
    ("off by default, turned on by the person",
     admit("promotion", "sms", person(channels={"sms": wish(enabled=True)})), DELIVER),
    ("off by default, the type wanted but nothing said of the channel",
     admit("promotion", "sms", person(types={"promotion": True})),
     Settle("suppressed", "off_by_default")),
    ("mandatory skips preferences",
     admit("login_code", "sms", person(channels=ALL_OFF, types={"login_code": False})), DELIVER),
    ("mandatory does not skip a suppression",
     admit("login_code", "sms", person(barred={"sms": BARRED})),
     Settle("suppressed", "suppressed_address")),
    # 4. somewhere to go
    ("no e-mail address", admit("order", "email", NOBODY), Settle("rejected", "no_address")),
    ("no number", admit("login_code", "sms", NOBODY), Settle("rejected", "no_address")),
    ("no device", admit("order", "push", NOBODY), Settle("rejected", "no_address")),
    ("the inbox needs no address", admit("order", "in_app", NOBODY), DELIVER),
    ("the inbox of someone deleted", admit("order", "in_app", Profile(deleted_ms=1)),
     Settle("rejected", "no_address")),
    # 5. rate limit, then daily limits
    ("the last of the rate limit",
     admit("order", "email", person(), after(4, "order", "email", person())), DELIVER),
    ("one over the rate limit",
     admit("order", "email", person(), after(5, "order", "email", person())),
     Settle("suppressed", "rate_limited")),
    ("mandatory types are rate limited too",
     admit("login_code", "sms", person(), after(2, "login_code", "sms", person())),
     Settle("suppressed", "rate_limited")),
    ("over the category's daily limit",
     admit("promotion", "push", person(), after(2, "promotion", "push", person())),
     Settle("suppressed", "daily_limit")),
    ("over the daily limit of a category that defers",
     admit("digest", "email", person(), after(3, "digest", "email", person())),
     Defer(ms("2026-06-02T00:00Z"), "daily_limit", is_counted=False)),
    ("the same, but it expires before tomorrow",
     admit("digest", "email", person(), after(3, "digest", "email", person()), ttl_ms=HOUR),
     Settle("expired", "daily_limit")),
    ("another category's count",
     admit("order", "push", person(), after(2, "promotion", "push", person())), DELIVER),
    ("over the person's own limit, over all categories",
     admit("order", "push", person(channels={"push": wish(limit=2)}),
           after(2, "promotion", "push", person())), Settle("suppressed", "daily_limit")),
    ("an own limit of none at all",
     admit("order", "push", person(channels={"push": wish(limit=0)})),
     Settle("suppressed", "daily_limit")),
    ("mandatory skips the person's own limit",
     admit("login_code", "sms", person(channels={"sms": wish(limit=0)})), DELIVER),
    # 6. legal window and quiet hours
    ("quiet hours", admit("order", "email", person(channels={"email": wish(quiet="11:00-13:00")})),
     Defer(NOON + HOUR, "quiet_hours", is_counted=True)),
    ("quiet hours in the person's zone",
     admit("order", "email", person(zone="Asia/Tokyo", channels={"email": wish(quiet="20:00-07:00")})),
     Defer(ms("2026-06-01T22:00Z"), "quiet_hours", is_counted=True)),
    ("quiet hours of another channel",
     admit("order", "email", person(channels={"push": wish(quiet="11:00-13:00")})), DELIVER),
    ("expires before quiet hours end",
     admit("order", "email", person(channels={"email": wish(quiet="11:00-13:00")}), ttl_ms=HOUR),
     Settle("expired", "quiet_hours")),
    ("a category without quiet hours",
     admit("login_code", "sms", person(channels={"sms": wish(quiet="11:00-13:00")})), DELIVER),
    ("outside of the legal window",
     admit("promotion", "sms", person(channels={"sms": wish(enabled=True)}),
           now_ms=ms("2026-06-01T21:00Z")),
     Defer(ms("2026-06-02T08:00Z"), "legal_window", is_counted=True)),
    ("a zone with a stricter window",
     admit("promotion", "sms", person(zone="America/Chicago", channels={"sms": wish(enabled=True)}),
           now_ms=ms("2026-06-01T13:30Z")),
     Defer(ms("2026-06-01T14:00Z"), "legal_window", is_counted=True)),
    ("the law speaks of SMS, not of e-mail",
     admit("promotion", "email", person(), now_ms=ms("2026-06-01T22:00Z")), DELIVER),
    ("outside of the window, then quiet hours: the first instant free of both",
     admit("promotion", "sms", person(channels={"sms": wish(enabled=True, quiet="07:00-10:00")}),
           now_ms=ms("2026-06-01T21:30Z")),
     Defer(ms("2026-06-02T10:00Z"), "legal_window", is_counted=True)),
    ("window and quiet hours leave nothing of the day",
     admit("promotion", "sms", person(channels={"sms": wish(enabled=True, quiet="07:00-22:00")}),
           ttl_ms=30 * DAY), Settle("expired", "quiet_hours")),
]  # fmt: skip


@pytest.mark.parametrize(("verdict", "expected"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE])
def test_admission_of(verdict: Verdict, expected: Verdict) -> None:
    assert verdict == expected


def recheck(
    type_name: str, channel: Channel, profile: Profile, *, now_ms: int = NOON, ttl_ms: int = DAY,
    is_cancelled: bool = False,
) -> Verdict:  # fmt: skip
    case = ADMISSION.case(type_name, channel, now_ms=now_ms, is_fallback=True)
    return case.rule_again(profile, now_ms + ttl_ms, is_cancelled=is_cancelled).verdict


RECHECKED: list[tuple[str, Verdict, Verdict]] = [
    ("nothing changed", recheck("order", "email", person()), DELIVER),
    ("cancelled while it waited", recheck("order", "email", person(), is_cancelled=True),
     Settle("cancelled", "cancelled")),
    ("expired while it waited", recheck("order", "email", person(), ttl_ms=0),
     Settle("expired", "ttl")),
    ("opted out while it waited", recheck("order", "email", person(channels=ALL_OFF)),
     Settle("suppressed", "opted_out_channel")),
    ("the address went away", recheck("order", "email", NOBODY),
     Settle("suppressed", "address_gone")),
    ("quiet hours changed",
     recheck("order", "email", person(channels={"email": wish(quiet="11:00-13:00")})),
     Defer(NOON + HOUR, "quiet_hours", is_counted=True)),
    ("a fallback channel", recheck("order", "sms", person()), DELIVER),
    ("its type was taken out of the configuration", recheck("gone", "sms", person()),
     Settle("rejected", "unknown_type")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "expected"), [r[1:] for r in RECHECKED], ids=[r[0] for r in RECHECKED]
)
def test_recheck_of(verdict: Verdict, expected: Verdict) -> None:
    assert verdict == expected


def test_a_recheck_never_asks_the_caps() -> None:
    full = after(5, "order", "email", person())

    assert admit("order", "email", person(), full) == Settle("suppressed", "rate_limited")
    assert recheck("order", "email", person()) == DELIVER


def test_mandatory_types_leave_the_daily_counts_alone() -> None:
    assert after(2, "login_code", "email", person()).by_category == ()


def test_the_day_of_a_limit_is_the_users() -> None:
    tokyo = person(zone="Asia/Tokyo")
    full = after(2, "promotion", "push", tokyo)

    before_midnight = admit("promotion", "push", tokyo, full, now_ms=ms("2026-06-01T14:59Z"))
    at_midnight = admit("promotion", "push", tokyo, full, now_ms=ms("2026-06-01T15:00Z"))

    assert (before_midnight, at_midnight) == (Settle("suppressed", "daily_limit"), DELIVER)


quiet_spans = st.tuples(st.integers(0, 47), st.integers(0, 47)).filter(
    lambda pair: pair[0] != pair[1]
)


@given(
    quiet_spans,
    st.sampled_from(["UTC", "Australia/Lord_Howe", "America/St_Johns", "Africa/Cairo"]),
    st.integers(ms("2026-01-01T00:00Z"), ms("2027-12-31T00:00Z")),
    st.integers(1, 3 * DAY),
)
def test_nothing_is_delivered_or_woken_inside_quiet_hours_or_after_expiry(
    half_hours: tuple[int, int], zone: str, now_ms: int, ttl_ms: int
) -> None:
    start, end = (f"{each // 2:02d}:{each % 2 * 30:02d}" for each in half_hours)
    quiet = parse_span(f"{start}-{end}")
    local = ADMISSION.zones.get(zone)
    profile = person(zone=zone, channels={"email": wish(quiet=f"{start}-{end}")})

    match admit("order", "email", profile, now_ms=now_ms, ttl_ms=ttl_ms):
        case Deliver():
            assert not is_inside(now_ms, local, quiet)
        case Defer(until_ms, reason, is_counted):
            assert (reason, is_counted) == ("quiet_hours", True)
            assert now_ms < until_ms < now_ms + ttl_ms
            assert is_inside(until_ms - 1, local, quiet)
            assert not is_inside(until_ms, local, quiet)
        case Settle(status, reason):
            assert (status, reason) == ("expired", "quiet_hours")
            assert is_inside(now_ms + ttl_ms - 1, local, quiet)


def test_fallback_goes_on_with_the_first_channel_that_is_not_refused() -> None:
    refused, delivered = Ruling(Settle("rejected", "no_address")), Ruling(DELIVER)
    rulings: dict[Channel, Ruling] = {"push": refused, "email": delivered}

    found = go_on(("push", "email", "sms"), rulings.__getitem__)

    assert found == GoOn("email", delivered, ("sms",), (("push", refused),))


def test_fallback_ends_when_every_channel_is_refused() -> None:
    refused = Ruling(Settle("suppressed", "opted_out_channel"))

    assert go_on(("sms",), lambda _: refused) == Exhausted((("sms", refused),))
    assert go_on((), lambda _: Ruling(DELIVER)) == Exhausted(())


def test_every_reason_is_explained() -> None:
    assert set(EXPLANATIONS) == set(REASONS)
    assert all(text.endswith(".") for text in EXPLANATIONS.values())
