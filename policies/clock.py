"""The only place that reads a clock. Everything else is told what time it is."""

import time
from typing import Protocol


class Clock(Protocol):
    """What knows the time."""

    def now_ms(self) -> int:
        """Epoch milliseconds; may jump when the machine's clock is set."""
        ...

    def elapsed_seconds(self) -> float:
        """Seconds since some fixed instant; never jumps, and counts while the machine sleeps.

        A lease must grow old during a suspension, or a worker that wakes up would trust it.
        """
        ...


def elapsed_ms(clock: Clock) -> int:
    """Milliseconds since some fixed instant: for spans, which must not change with the clock."""
    return round(clock.elapsed_seconds() * 1000)


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def elapsed_seconds(self) -> float:
        return time.clock_gettime(_UNSTOPPED)


class ManualClock:
    """A clock that stands still until it is told to go on; for tests and the simulator."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._now_ms = now_ms
        self._elapsed_seconds = 0.0

    def now_ms(self) -> int:
        return self._now_ms

    def elapsed_seconds(self) -> float:
        return self._elapsed_seconds

    def advance(self, *, ms: int = 0, seconds: float = 0.0) -> None:
        """Let time pass on both clocks."""
        passed_ms = ms + round(seconds * 1000)
        if passed_ms < 0:
            raise ValueError(
                "time does not pass backwards; use set_wall_ms for a clock that is set"
            )
        self._now_ms += passed_ms
        self._elapsed_seconds += passed_ms / 1000

    def set_wall_ms(self, now_ms: int) -> None:
        """Someone sets the machine's clock; elapsed time does not notice."""
        self._now_ms = now_ms


# macOS has no CLOCK_BOOTTIME, but its CLOCK_MONOTONIC counts while the machine sleeps.
_UNSTOPPED: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
