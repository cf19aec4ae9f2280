"""A worker's clock is believed as long as it agrees with the broker's."""

import pytest

from policies.clock import ManualClock
from policies.stop_facts import SKEW_MS
from streams.watched_clock import ClockAskew, WatchedClock

NOW_MS = 1_772_366_400_000
HOUR_MS = 3_600_000


@pytest.fixture
def machine() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def clock(machine: ManualClock) -> WatchedClock:
    return WatchedClock(machine)


def test_whoever_was_never_compared_is_not_believed(clock: WatchedClock) -> None:
    assert clock.now_ms() == NOW_MS
    assert clock.believed_ms() is None


@pytest.mark.parametrize("ahead_ms", [-SKEW_MS, 0, SKEW_MS])
def test_a_clock_may_differ_as_much_as_all_that_goes_by_it_allows(
    clock: WatchedClock, ahead_ms: int
) -> None:
    clock.compare(NOW_MS - ahead_ms, asked_ms=NOW_MS)

    assert clock.believed_ms() == NOW_MS


@pytest.mark.parametrize(
    ("ahead_ms", "words"),
    [
        (HOUR_MS, "this machine's clock is 3600 s ahead of the broker's: set whichever is wrong"),
        (SKEW_MS + 1, "is 10 s ahead of the broker's"),
        (-SKEW_MS - 1, "is 10 s behind the broker's"),
        (-24 * HOUR_MS, "is 86400 s behind the broker's"),
    ],
)
def test_one_that_differs_by_more_is_refused(
    clock: WatchedClock, ahead_ms: int, words: str
) -> None:
    with pytest.raises(ClockAskew, match=words):
        clock.compare(NOW_MS - ahead_ms, asked_ms=NOW_MS)


def test_a_broker_that_answers_late_may_have_appended_at_any_time_since_it_was_asked(
    machine: ManualClock, clock: WatchedClock
) -> None:
    machine.advance(seconds=600)

    clock.compare(NOW_MS, asked_ms=NOW_MS)
    clock.compare(NOW_MS + 600_000, asked_ms=NOW_MS)
    with pytest.raises(ClockAskew):
        clock.compare(NOW_MS - SKEW_MS - 1, asked_ms=NOW_MS)


def test_a_broker_that_keeps_producers_dates_says_nothing(clock: WatchedClock) -> None:
    clock.compare(-1, asked_ms=NOW_MS)

    assert clock.believed_ms() is None


def test_a_clock_that_is_set_between_transactions_is_noticed_by_the_time_that_went_by(
    machine: ManualClock, clock: WatchedClock
) -> None:
    clock.compare(NOW_MS, asked_ms=NOW_MS)
    machine.advance(seconds=3600)
    assert clock.believed_ms() == NOW_MS + HOUR_MS

    machine.set_wall_ms(NOW_MS)

    with pytest.raises(ClockAskew, match="was set by 3600 s"):
        clock.believed_ms()


def test_a_clock_that_ntp_moves_a_little_each_time_goes_on_being_believed(
    machine: ManualClock, clock: WatchedClock
) -> None:
    for _ in range(10):
        machine.set_wall_ms(machine.now_ms() + SKEW_MS // 2)
        clock.compare(machine.now_ms(), asked_ms=machine.now_ms())

        assert clock.believed_ms() == machine.now_ms()


def test_what_was_decided_by_a_clock_that_was_wrong_for_a_moment_is_refused_though_it_is_right_again(
    machine: ManualClock, clock: WatchedClock
) -> None:
    machine.set_wall_ms(NOW_MS + HOUR_MS)
    assert clock.now_ms() == NOW_MS + HOUR_MS, "something is decided"
    machine.set_wall_ms(NOW_MS)

    with pytest.raises(ClockAskew, match="was set by 3600 s"):
        clock.compare(NOW_MS, asked_ms=NOW_MS)


def test_a_clock_that_is_set_while_the_broker_appends_is_refused(
    machine: ManualClock, clock: WatchedClock
) -> None:
    asked_ms = clock.now_ms()
    machine.set_wall_ms(NOW_MS + 24 * HOUR_MS)

    with pytest.raises(ClockAskew, match="was set by 86400 s"):
        clock.compare(NOW_MS, asked_ms=asked_ms)
