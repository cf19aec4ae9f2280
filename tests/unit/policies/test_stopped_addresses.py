"""Addresses, devices and people that are barred, moved or gone stop what is queued for them."""

from collections.abc import Callable

import pytest

from policies.stops import GO, StopList, StopVerdict
from tests.unit.policies.stop_notes import (
    BEFORE,
    GONE,
    HASH,
    NOW,
    OTHER,
    SINCE,
    SUPPRESSED,
    check,
)


def test_a_barred_address_stops_whoever_has_it(stops: StopList) -> None:
    stops.note_barred(HASH, occurred_ms=BEFORE, appended_ms=BEFORE)

    assert check(stops, user="ada") == check(stops, user="bob") == SUPPRESSED
    assert check(stops, address_hash=OTHER) == GO


def test_a_bar_ends_by_time_or_by_release_but_not_by_an_older_release(stops: StopList) -> None:
    stops.note_barred(HASH, occurred_ms=5, appended_ms=SINCE, until_ms=NOW)
    assert check(stops, now_ms=NOW - 1) == SUPPRESSED
    assert check(stops, now_ms=NOW) == GO

    stops.note_unbarred(HASH, occurred_ms=4, appended_ms=SINCE)
    assert check(stops, now_ms=NOW - 1) == SUPPRESSED
    stops.note_unbarred(HASH, occurred_ms=6, appended_ms=SINCE)
    assert check(stops, now_ms=NOW - 1) == GO


def test_a_bar_on_a_user_speaks_of_the_address_of_that_time(stops: StopList) -> None:
    stops.note_user_barred("ada", "email", occurred_ms=BEFORE, appended_ms=BEFORE)
    assert check(stops) == SUPPRESSED
    assert check(stops, "sms") == GO

    stops.note_address(
        "ada", "email", HASH, source="producer", occurred_ms=BEFORE + 1, appended_ms=SINCE
    )
    assert check(stops) == GO


def test_a_bar_on_a_user_is_lifted_by_a_release(stops: StopList) -> None:
    stops.note_user_barred("ada", "email", occurred_ms=5, appended_ms=SINCE)
    stops.note_user_unbarred("ada", "email", occurred_ms=6, appended_ms=SINCE)

    assert check(stops) == GO


def test_a_new_address_stops_what_goes_to_the_old_one(stops: StopList) -> None:
    stops.note_address("ada", "email", OTHER, source="user", occurred_ms=SINCE, appended_ms=SINCE)

    assert check(stops, address_hash=HASH) == GONE
    assert check(stops, address_hash=OTHER) == GO
    assert check(stops, "sms", address_hash=HASH) == GO


def test_an_address_given_for_one_notification_is_not_gone_by_an_older_change(
    stops: StopList,
) -> None:
    stops.note_address("ada", "email", OTHER, source="user", occurred_ms=1, appended_ms=BEFORE)

    assert check(stops, address_hash=HASH) == GO


def test_an_address_taken_away_is_gone(stops: StopList) -> None:
    stops.note_address("ada", "email", b"", source="user", occurred_ms=SINCE, appended_ms=SINCE)

    assert check(stops) == GONE


Note = Callable[[StopList], None]


def registered(said: int, token: bytes = HASH) -> Note:
    return lambda stops: stops.note_device_registered(
        "ada", "phone", token, occurred_ms=said, appended_ms=BEFORE
    )


def removed(said: int) -> Note:
    return lambda stops: stops.note_device_removed(
        "ada", "phone", occurred_ms=said, appended_ms=BEFORE
    )


def lost(said: int, token: bytes = HASH) -> Note:
    return lambda stops: stops.note_token_lost("ada", token, occurred_ms=said, appended_ms=BEFORE)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        # a device that was removed
        ([registered(1), removed(2)], GONE),
        # removed, then registered again, in both orders
        ([removed(2), registered(3)], GO),
        ([registered(3), removed(2)], GO),
        # a phone sold, and bought back: the takeover by the other user comes late
        ([registered(1), lost(2)], GONE),
        ([registered(1), registered(3), lost(2)], GO),
        ([lost(2), registered(3)], GO),
        # the same instant: the removal wins, as it does where profiles are kept
        ([removed(2), registered(2)], GONE),
        ([registered(2), removed(2)], GONE),
        # another token was lost
        ([lost(2, OTHER)], GO),
        # the device has another token since, then lost the old one: that one is gone
        ([registered(1), registered(2, OTHER), lost(3)], GONE),
    ],
)
def test_push_goes_to_devices_that_are_still_there(
    stops: StopList, notes: list[Note], expected: StopVerdict
) -> None:
    for note in notes:
        note(stops)

    assert check(stops, "push") == expected


def test_a_deleted_user_gets_nothing_until_known_again(stops: StopList) -> None:
    stops.note_deleted("ada", occurred_ms=5, appended_ms=SINCE)
    assert check(stops, "email") == check(stops, "in_app") == GONE
    assert check(stops, "sms", type_name="code") == GONE

    stops.note_address("ada", "email", HASH, source="user", occurred_ms=4, appended_ms=SINCE)
    assert check(stops, "in_app") == GONE
    stops.note_address("ada", "email", HASH, source="user", occurred_ms=6, appended_ms=SINCE)

    assert check(stops, "email") == check(stops, "in_app") == GO


def test_a_decision_that_knew_of_the_deletion_is_not_stopped_by_it(stops: StopList) -> None:
    """It may be for who was imported since, or go to an inline address: no tail tells of either."""
    stops.note_deleted("ada", occurred_ms=5, appended_ms=BEFORE)

    assert check(stops, "email") == check(stops, "push") == check(stops, "in_app") == GO
    assert check(stops, "sms", type_name="code") == GO


def test_a_decision_within_what_clocks_may_differ_is_stopped_by_a_deletion(stops: StopList) -> None:
    stops.note_deleted("ada", occurred_ms=5, appended_ms=BEFORE + 1)

    assert check(stops, "email") == check(stops, "in_app") == GONE
    assert check(stops, "sms", type_name="code") == GONE


def own_word(occurred_ms: int) -> Note:
    def note(stops: StopList) -> None:
        stops.note_address(
            "ada", "email", OTHER, source="user", occurred_ms=occurred_ms, appended_ms=SINCE
        )

    return note


def deletion(stops: StopList) -> None:
    stops.note_deleted("ada", occurred_ms=5, appended_ms=SINCE)


def renewal(stops: StopList) -> None:
    stops.note_address("ada", "email", HASH, source="producer", occurred_ms=6, appended_ms=SINCE)


@pytest.mark.parametrize(
    "notes",
    [
        [own_word(4), deletion, renewal],
        [own_word(5), deletion, renewal],
        [deletion, own_word(5), renewal],
        [deletion, renewal, own_word(4)],
    ],
    ids=["said before", "at the same instant", "heard after it", "heard last"],
)
def test_who_is_known_again_after_a_deletion_has_the_address_that_was_told_then(
    stops: StopList, notes: list[Note]
) -> None:
    for note in notes:
        note(stops)

    assert check(stops, address_hash=HASH) == GO
    assert check(stops, address_hash=OTHER) == GONE


def test_who_is_known_again_by_a_device_has_no_address(stops: StopList) -> None:
    stops.note_user_barred("ada", "email", occurred_ms=3, appended_ms=BEFORE)
    own_word(4)(stops)
    deletion(stops)
    stops.note_device_registered("ada", "phone", HASH, occurred_ms=6, appended_ms=SINCE)

    assert check(stops, address_hash=HASH) == check(stops, address_hash=OTHER) == GONE
    assert check(stops, "in_app") == GO
