"""The oracle against the policy that it knows nothing of: both must come to the same answers."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from policies import caps, quiet_hours
from policies.admission import Admission
from policies.legal import LegalWindows
from policies.rules import Category, Defaults, NotificationType, Rules
from policies.verdicts import Defer, Deliver, Settle, Verdict
from policies.zones import DAY_MS, Zone, zone_names
from proof.checker import instants, rules
from proof.checker.evidence import (
    Asked,
    Cancellation,
    Change,
    Circumstances,
    Data,
    Evidence,
    Preferences,
    Receipt,
    Said,
    Wish,
)
from proof.checker.oracle import SENT, Matter, Oracle, expires_ms
from proof.checker.people import People
from schemas.delivery import CHANNELS, Channel
from schemas.profile import Address, ChannelWish, Device, Profile, Suppression, Wishes, pack_wishes

NOW_MS = 1_767_268_800_000
LONG_AGO_MS = NOW_MS - 86_400_000
CATEGORIES: dict[str, dict[str, Any]] = {
    "security": {"mandatory": True, "in_doubt": "resend"},
    "transactional": {"quiet_hours": True},
    "marketing": {"quiet_hours": True, "legal_windows": True},
}
OFF_BY_DEFAULT: dict[str, dict[Channel, bool]] = {"marketing": {"sms": False, "email": False}}
KINDS: dict[str, tuple[str, tuple[Channel, ...]]] = {
    "code": ("security", ("sms",)),
    "order": ("transactional", ("push", "email", "in_app")),
    "offer": ("marketing", ("email", "sms")),
}
TTL_SECONDS = 6 * 3600
OURS = rules.Rules(
    kinds={
        name: rules.Kind(
            name, rules.Category(category, **CATEGORIES[category]), channels,
            ttl_ms=TTL_SECONDS * 1000,
        )
        for name, (category, channels) in KINDS.items()
    },
    is_on={name: {str(way): on for way, on in ways.items()} for name, ways in OFF_BY_DEFAULT.items()},
)  # fmt: skip
THEIRS = Admission(
    Rules(
        {
            name: NotificationType(
                name, Category(category, **CATEGORIES[category]), channels, ttl_seconds=TTL_SECONDS
            )
            for name, (category, channels) in KINDS.items()
        },
        Defaults(categories=OFF_BY_DEFAULT),
        legal_windows=LegalWindows(),
    )
)
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Australia/Lord_Howe")
SPANS = ("", "23:00-07:00", "11:00-13:00", "00:00-23:59")


@some.composite
def situations(draw: some.DrawFn) -> dict[str, Any]:
    """What may be known of somebody who is to be told something."""
    return {
        "kind": draw(some.sampled_from(list(KINDS))),
        "channel": draw(some.sampled_from(CHANNELS)),
        "email": draw(some.sampled_from(("", "a@example.org"))),
        "phone": draw(some.sampled_from(("", "+14155550100"))),
        "has_device": draw(some.booleans()),
        "zone": draw(some.sampled_from(ZONES)),
        "enabled": draw(some.sampled_from((None, True, False))),
        "quiet": draw(some.sampled_from(SPANS)),
        "type_enabled": draw(some.sampled_from((None, True, False))),
        "barred_until_ms": draw(some.sampled_from((None, NOW_MS - 60_000, NOW_MS + 3_600_000))),
        "is_cancelled": draw(some.booleans()) and draw(some.booleans()),
        "age_seconds": draw(some.integers(0, 2 * TTL_SECONDS)),
        "waits_seconds": draw(some.sampled_from((0, 0, 0, 3600, 2 * TTL_SECONDS))),
    }


@given(situations())
def test_oracle_and_policy_agree_on_whatever_is_known_for_certain(told: dict[str, Any]) -> None:
    at_ms = NOW_MS - told["age_seconds"] * 1000
    said = Asked(told["kind"], "ann", data=Data("7"), idempotency_key="k")
    if told["waits_seconds"]:
        said.send_at = instants.text_of(NOW_MS + told["waits_seconds"] * 1000)
    kind = OURS.kinds[told["kind"]]
    matter = Matter(said, at_ms, kind, "ann", told["channel"], NOW_MS, at_ms)
    found = Evidence(OURS, Circumstances(NOW_MS), changes=_changes(told))
    if told["is_cancelled"]:
        found.cancellations = [Cancellation(at_ms, "k", "ann")]

    case = THEIRS.case(
        told["kind"], told["channel"], now_ms=NOW_MS,
        send_ms=NOW_MS + told["waits_seconds"] * 1000 if told["waits_seconds"] else None,
    )  # fmt: skip
    ruling = case.rule(
        _profile(told), caps.NOTHING, expires_ms(said, at_ms, kind),
        is_cancelled=told["is_cancelled"],
    )  # fmt: skip
    oracle = Oracle(found, People(found.changes))

    _agree(oracle, matter, ruling.verdict)


def test_only_what_was_told_to_wait_is_held_back_until_what_it_waits_for_and_never_once_expired() -> (
    None
):
    evening_ms = instants.ms_of("2026-01-01T21:30:00.000Z")
    known = [_said("recipient_updated", phone="+14155550100", timezone="UTC")]
    found = Evidence(OURS, Circumstances(evening_ms, lag_ms=120_000), changes=known)
    oracle = Oracle(found, People(found.changes))

    def is_held_back(status: str, reason: str, *, came_ms: int, told_ms: int) -> bool:
        said = Asked("offer", "ann", data=Data("7"))
        matter = Matter(said, came_ms, OURS.kinds["offer"], "ann", "sms", evening_ms, came_ms)
        return oracle.holds_back(matter, _told(status, reason, told_ms))

    night_ms, today = evening_ms - 600_000, evening_ms - 3_600_000
    assert is_held_back("deferred", "legal_window", came_ms=today, told_ms=night_ms)
    assert not is_held_back("queued", "", came_ms=today, told_ms=night_ms)
    assert not is_held_back("deferred", "throttled", came_ms=today, told_ms=night_ms)
    assert not is_held_back("deferred", "daily_limit", came_ms=today, told_ms=night_ms)
    assert not is_held_back("deferred", "legal_window", came_ms=today, told_ms=today)
    expired = evening_ms - TTL_SECONDS * 1000
    assert not is_held_back("deferred", "legal_window", came_ms=expired, told_ms=night_ms)


def _agree(oracle: Oracle, matter: Matter, verdict: Verdict) -> None:
    allowed = oracle.ends(matter)
    match verdict:
        case Settle():
            assert (verdict.status, verdict.reason) in allowed
            assert SENT not in allowed or verdict.reason in ("ttl", "quiet_hours", "legal_window")
        case Defer():
            assert oracle.holds_back(matter, _told("deferred", verdict.reason, NOW_MS))
            if verdict.reason != "scheduled":
                assert not oracle.may_be_awake(matter, [NOW_MS])
        case Deliver():
            assert allowed >= {SENT}
            assert oracle.may_be_awake(matter, [NOW_MS])


def _told(status: str, reason: str, at_ms: int) -> Receipt:
    return Receipt(
        receipt_id="r", user_id="ann", status=status, reason=reason,
        occurred_at=instants.text_of(at_ms),
    )  # fmt: skip


def _said(change: str, **words: Any) -> Change:
    said = Said(change, "ann", instants.text_of(LONG_AGO_MS), **words)
    return Change(LONG_AGO_MS, "recipients.changed", 0, 0, said)


def _changes(told: dict[str, Any]) -> list[Change]:
    at = instants.text_of(LONG_AGO_MS)
    known = {"email": told["email"], "phone": told["phone"], "timezone": told["zone"]}
    wish = Wish(quiet_hours=told["quiet"] or None)
    if told["enabled"] is not None:
        wish.enabled = told["enabled"]
    types = {} if told["type_enabled"] is None else {told["kind"]: told["type_enabled"]}
    wishes = Preferences(**{told["channel"]: wish}, types=types)
    all_said = [
        Said("recipient_updated", "ann", at, **known),
        Said("preferences_updated", "ann", at, "user", preferences=wishes),
    ]
    if told["has_device"]:
        all_said.append(Said("device_registered", "ann", at, device_id="phone", token="token"))
    if told["barred_until_ms"] is not None:
        until = instants.text_of(told["barred_until_ms"])
        all_said.append(Said("address_suppressed", "ann", at, channel=told["channel"], until=until))
    return [Change(LONG_AGO_MS, "recipients.changed", 0, 0, each) for each in all_said]


def _profile(told: dict[str, Any]) -> Profile:
    wish = ChannelWish(told["enabled"], told["quiet"])
    types = {} if told["type_enabled"] is None else {told["kind"]: told["type_enabled"]}
    barred_ms = told["barred_until_ms"]
    return Profile(
        email=Address(told["email"], b"e") if told["email"] else None,
        phone=Address(told["phone"], b"p") if told["phone"] else None,
        devices=(Device("phone", "token", "android", 0, b"t"),) if told["has_device"] else (),
        suppressions={told["channel"]: Suppression("stop", 0, barred_ms)} if barred_ms else {},
        packed_wishes=pack_wishes(Wishes(told["zone"], {told["channel"]: wish}, types)),
    )


def _changes_of(zone: Zone) -> tuple[tuple[int, int], ...]:
    """Clock changes of two years, with what the clocks were before."""
    found = []
    at_ms = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    end_ms = at_ms + 2 * 365 * DAY_MS
    while at_ms < end_ms:
        before = zone.steady(at_ms)
        at_ms = before.until_ms
        if zone.steady(at_ms).offset_ms != before.offset_ms:
            found.append((at_ms, before.offset_ms))
    return tuple(found)


def test_quiet_hours_end_alike_on_each_night_of_change_in_every_zone_for_two_years() -> None:
    alike = {_changes_of(Zone(name)): name for name in zone_names()}  # many share their nights
    for changes, name in alike.items():
        zone = Zone(name)
        for change_ms, _ in changes:
            for span in ("02:15-02:45", "01:30-03:00", "23:00-02:30", "00:00-23:59"):
                parsed = quiet_hours.parse_span(span)
                for minutes in (-90, -46, -30, -1, 0, 1, 15, 29, 30, 46, 90):
                    at_ms = change_ms + minutes * instants.MINUTE_MS
                    theirs = quiet_hours.is_inside(at_ms, zone, parsed)
                    assert instants.is_inside(at_ms, name, span) is theirs, (name, at_ms, span)
                    end_ms = quiet_hours.end_ms(at_ms, zone, parsed)
                    assert instants.first_free_ms(at_ms, name, (span,)) == end_ms
