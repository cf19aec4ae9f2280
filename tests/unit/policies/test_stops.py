"""What stops a delivery that is already queued."""

import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.profile_changes import outranks
from policies.quiet_hours import parse_span
from policies.quiet_times import QuietTimes
from policies.stop_facts import SKEW_MS
from policies.stops import GO, HORIZON_MS, Park, Stop, StopList, Wait
from policies.zones import Zone
from schemas.instants import to_ms
from schemas.profile import Choice, Source
from tests.unit.policies.stop_notes import (
    BEFORE,
    BROADCAST,
    HASH,
    NOTIFICATION,
    NOW,
    OPTED_OUT,
    OPTED_OUT_TYPE,
    RULES,
    SINCE,
    SUPPRESSED,
    check,
    choice,
)


def test_nothing_said_means_go(stops: StopList) -> None:
    assert check(stops) == GO


def test_an_own_opt_out_stops_even_what_was_decided_after_it_came(stops: StopList) -> None:
    choice(stops, False, came=BEFORE)

    assert check(stops) == OPTED_OUT
    assert check(stops, "push") == GO
    assert check(stops, user="bob") == GO


def test_the_time_of_day_is_asked_last_and_of_everybody(stops: StopList) -> None:
    asleep = QuietTimes(Zone("UTC"), None, parse_span("23:00-01:00")).text()
    awake = QuietTimes(Zone("UTC"), None, parse_span("12:00-13:00")).text()

    assert check(stops, quiet=asleep, ttl_ms=7_200_000) == Wait(NOW + 3_600_000, "quiet_hours")
    assert check(stops, quiet=asleep, ttl_ms=60_000) == Stop("expired", "quiet_hours")
    assert check(stops, quiet=awake) == GO
    choice(stops, False)
    assert check(stops, quiet=asleep) == OPTED_OUT


def test_an_opt_out_of_the_type_stops_every_channel_of_it(stops: StopList) -> None:
    choice(stops, False, channel="", type_name="promotion")

    assert check(stops, "email") == OPTED_OUT_TYPE
    assert check(stops, "push") == OPTED_OUT_TYPE
    assert check(stops, type_name="news") == GO


def test_a_type_named_like_a_channel_is_not_the_channel(stops: StopList) -> None:
    choice(stops, False, channel="", type_name="email")

    assert check(stops, "email") == GO


def test_mandatory_types_skip_opt_outs_but_not_suppressions(stops: StopList) -> None:
    choice(stops, False, channel="sms")
    choice(stops, False, channel="", type_name="code")
    assert check(stops, "sms", type_name="code") == GO

    stops.note_barred(HASH, occurred_ms=BEFORE, appended_ms=BEFORE)

    assert check(stops, "sms", type_name="code") == SUPPRESSED


@pytest.mark.parametrize("in_order", [True, False])
def test_a_newer_opt_in_undoes_an_opt_out_whichever_is_read_first(
    stops: StopList, in_order: bool
) -> None:
    words = [(False, BEFORE), (True, BEFORE + 1)]
    for enabled, said in words if in_order else reversed(words):
        choice(stops, enabled, said=said)

    assert check(stops) == GO


def test_taking_back_an_opt_out_undoes_it(stops: StopList) -> None:
    choice(stops, False, said=BEFORE)
    choice(stops, None, said=BEFORE + 1)

    assert check(stops) == GO


def test_what_a_producer_turns_off_counts_when_a_person_has_taken_their_own_word_back(
    stops: StopList,
) -> None:
    choice(stops, True, said=BEFORE)
    choice(stops, None, said=BEFORE + 1)
    choice(stops, False, said=BEFORE + 2, source="producer")

    assert check(stops) == OPTED_OUT


def test_who_takes_back_nothing_that_holds_changes_nothing(stops: StopList) -> None:
    choice(stops, None, said=BEFORE)
    choice(stops, False, said=BEFORE + 1)
    version = stops.version

    choice(stops, None, said=BEFORE)
    choice(stops, None, said=BEFORE + 2, source="producer")

    assert stops.version == version
    assert check(stops) == OPTED_OUT


def test_a_producers_opt_out_stops_only_what_was_decided_before_it_came(stops: StopList) -> None:
    choice(stops, False, source="producer", came=SINCE)
    assert check(stops) == OPTED_OUT

    assert check(stops, released_ms=SINCE + SKEW_MS) == GO


def test_a_producers_opt_in_does_not_undo_a_persons_opt_out(stops: StopList) -> None:
    choice(stops, False, source="user", said=BEFORE)
    choice(stops, True, source="producer", said=BEFORE + 1_000)

    assert check(stops) == OPTED_OUT


@pytest.mark.parametrize("year", [2600, 2999, 9998])
def test_no_word_becomes_a_persons_own_by_being_said_in_the_far_future(
    stops: StopList, year: int
) -> None:
    choice(stops, False, source="user", said=BEFORE)
    choice(stops, True, source="producer", said=to_ms(datetime(year, 12, 31, tzinfo=UTC)))

    assert check(stops) == OPTED_OUT


def test_an_imports_opt_out_does_not_undo_a_persons_opt_in(stops: StopList) -> None:
    choice(stops, True, source="user", said=BEFORE)
    choice(stops, False, source="import", said=BEFORE + 1_000)

    assert check(stops) == GO


words = st.tuples(
    st.sampled_from([True, False, None]),
    st.sampled_from(["user", "producer", "import", "provider"]),
    st.integers(0, 4) | st.integers(0, to_ms(datetime(9998, 12, 31, tzinfo=UTC))),
)


@given(st.lists(words, min_size=1, max_size=6))
def test_choices_outrank_each_other_as_they_do_where_profiles_are_kept(
    said: list[tuple[bool | None, Source, int]],
) -> None:
    stops, kept = StopList(RULES), None

    for enabled, source, occurred_ms in said:
        choice(stops, enabled, source=source, said=occurred_ms)
        if outranks(kept, source, occurred_ms):
            kept = None if enabled is None else Choice(enabled, source, occurred_ms)

    assert check(stops) == (GO if kept is None or kept.enabled else OPTED_OUT)


@pytest.mark.parametrize("cancelled", [NOTIFICATION, BROADCAST])
def test_a_cancelled_notification_or_broadcast_stops(stops: StopList, cancelled: bytes) -> None:
    stops.note_cancelled(cancelled, appended_ms=BEFORE)

    assert check(stops) == Stop("cancelled", "cancelled")
    assert stops.cancelled([b"", cancelled]) == {cancelled: BEFORE}


@pytest.mark.parametrize("cancelled", [NOTIFICATION, BROADCAST])
def test_a_key_that_is_used_again_after_its_window_is_not_called_off_by_what_was(
    stops: StopList, cancelled: bytes
) -> None:
    window_ms = RULES.dedup_window_seconds * 1000
    stops.note_cancelled(cancelled, appended_ms=BEFORE)

    assert check(stops, accepted_ms=BEFORE + window_ms) == GO
    assert check(stops, accepted_ms=BEFORE + window_ms - 1) == Stop("cancelled", "cancelled")


def test_of_two_cancellations_the_later_counts_in_whatever_order_they_are_read(
    stops: StopList,
) -> None:
    for came_ms in (SINCE, BEFORE):
        stops.note_cancelled(NOTIFICATION, appended_ms=came_ms)

    assert stops.cancelled([NOTIFICATION]) == {NOTIFICATION: SINCE}


def test_what_is_worthless_or_older_than_the_tails_is_not_sent(stops: StopList) -> None:
    assert check(stops, ttl_ms=0) == Stop("expired", "ttl")
    assert check(stops, released_ms=NOW - HORIZON_MS) == Stop("expired", "too_old")
    assert check(stops, released_ms=NOW - HORIZON_MS + 1) == GO


@pytest.mark.parametrize(
    ("scope", "name"),
    [("channel", "email"), ("type", "promotion"), ("tenant", "acme"), ("provider", "ses")],
)
def test_a_pause_parks_until_it_is_lifted(stops: StopList, scope: str, name: str) -> None:
    match scope:
        case "channel" | "type" | "tenant" | "provider":
            stops.note_control(scope, name, is_paused=True)
            assert check(stops) == Park(f"{scope}:{name}")
            assert stops.is_paused(f"{scope}:{name}")
            stops.note_control(scope, name, is_paused=False)
        case _:
            pytest.fail("not a scope")

    assert check(stops) == GO
    assert not stops.is_paused(f"{scope}:{name}")


def test_a_pause_of_something_else_parks_nothing(stops: StopList) -> None:
    stops.note_control("channel", "promotion", is_paused=True)
    stops.note_control("provider", "twilio", is_paused=True)

    assert check(stops) == GO


def test_what_is_not_wanted_does_not_wait_for_the_end_of_a_pause(stops: StopList) -> None:
    stops.note_control("channel", "email", is_paused=True)
    choice(stops, False)

    assert check(stops) == OPTED_OUT


def test_old_facts_are_forgotten_but_never_a_pause(stops: StopList) -> None:
    stops.note_control("type", "promotion", is_paused=True)
    choice(stops, False, came=BEFORE)
    stops.note_barred(HASH, occurred_ms=1, appended_ms=BEFORE)
    stops.note_user_barred("ada", "sms", occurred_ms=1, appended_ms=BEFORE)
    stops.note_cancelled(BROADCAST, appended_ms=BEFORE)
    stops.note_address("ada", "sms", HASH, source="user", occurred_ms=1, appended_ms=BEFORE)
    stops.note_deleted("bob", occurred_ms=1, appended_ms=BEFORE)
    choice(stops, False, channel="sms", came=SINCE)
    assert len(stops) == 10, "of bob: that, when, and what becomes of two addresses"

    stops.forget(SINCE)

    assert len(stops) == 1
    assert check(stops, "sms") == OPTED_OUT
    assert check(stops) == Park("type:promotion")


def test_what_an_import_says_of_many_people_takes_little_memory(stops: StopList) -> None:
    people = [f"user-{number}" for number in range(10_000)]

    tracemalloc.start()
    try:
        for user in people:
            choice(stops, False, channel="", type_name="promotion", source="import", user=user)
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(stops) == len(people)
    assert taken_bytes < 85 * len(people)


def test_the_version_changes_with_every_news(stops: StopList) -> None:
    before = stops.version

    choice(stops, False)

    assert stops.version != before


@given(
    words=st.lists(
        st.tuples(
            st.sampled_from([True, False, None]),
            st.sampled_from(["user", "import", "producer"]),
            st.integers(BEFORE - 3, BEFORE),
            st.sampled_from(["ada", "bob"]),
        ),
        max_size=4,
    ),
    said=st.integers(BEFORE - 3, BEFORE),
    place=st.integers(0, 4),
)
def test_opt_outs_that_are_noted_together_count_as_each_alone(
    words: list[tuple[bool | None, Source, int, str]], said: int, place: int
) -> None:
    together, alone = StopList(RULES), StopList(RULES)
    for stops in (together, alone):
        for at in range(5):
            if at == min(place, len(words)):
                if stops is together:
                    stops.note_imported_opt_outs(
                        ["ada", "bob", "ada"], channel="email", occurred_ms=said, appended_ms=SINCE
                    )
                else:
                    for user in ("ada", "bob", "ada"):
                        choice(stops, False, source="import", said=said, user=user)
            if at < len(words):
                enabled, source, said_ms, user = words[at]
                choice(stops, enabled, source=source, said=said_ms, user=user)

    for user in ("ada", "bob"):
        assert check(together, user=user) == check(alone, user=user)
    assert len(together) == len(alone)


def test_opt_outs_of_an_import_are_news_to_who_asked_before(stops: StopList) -> None:
    assert check(stops) == GO
    version = stops.version

    stops.note_imported_opt_outs(["ada"], channel="email", occurred_ms=BEFORE, appended_ms=SINCE)

    assert stops.version != version
    assert check(stops) == OPTED_OUT
