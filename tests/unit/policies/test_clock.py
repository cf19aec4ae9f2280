"""The clocks: the only place where time is read."""

import pytest

from policies.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_goes_on() -> None:
    clock: Clock = SystemClock()

    first, second = clock.elapsed_seconds(), clock.elapsed_seconds()

    assert second >= first > 0
    assert clock.now_ms() > 1_700_000_000_000


def test_a_manual_clock_goes_on_only_when_told() -> None:
    clock = ManualClock(1_000)

    clock.advance(ms=500)
    clock.advance(seconds=1.5)

    assert (clock.now_ms(), clock.elapsed_seconds()) == (3_000, 2.0)


def test_setting_the_wall_clock_does_not_change_what_has_elapsed() -> None:
    clock = ManualClock(1_000)

    clock.set_wall_ms(5)

    assert (clock.now_ms(), clock.elapsed_seconds()) == (5, 0.0)


def test_time_does_not_pass_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        ManualClock().advance(ms=-1)
