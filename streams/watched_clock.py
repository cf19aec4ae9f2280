"""`WatchedClock`: this machine's clock, which is believed as long as it agrees with the broker's.

Whatever is decided is decided by a worker's own clock. Were it an hour ahead, people would be woken an
hour early; a day, and what guards against repeats would be gone. Brokers date every record that they
append, so each transaction shows whether the two clocks agree; where they do not, it is not committed,
and the worker ends. Between transactions a clock that is set shows by time that elapses, which nobody
can set.
"""

from policies.clock import Clock, elapsed_ms
from policies.stop_facts import SKEW_MS


class ClockAskew(RuntimeError):
    """Raised where this machine's clock cannot be believed: nothing that goes by it may be committed."""


class WatchedClock:
    """A clock for one life of a worker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._agreed_ms: int | None = None
        """What it was ahead of elapsed time when it last agreed with the broker's."""

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def elapsed_seconds(self) -> float:
        return self._clock.elapsed_seconds()

    def compare(self, appended_ms: int, *, asked_ms: int) -> None:
        """Raises `ClockAskew` unless a record that was to be appended from `asked_ms` on, by this clock,
        and has been, was appended at a time near that: at `appended_ms` by the broker's.

        A broker that keeps the producers' dates tells none of its own: a negative one.
        """
        if appended_ms < 0:
            return
        now_ms = self.now_ms()
        ahead_ms = max(asked_ms - appended_ms, 0) or min(now_ms - appended_ms, 0)
        if abs(ahead_ms) > SKEW_MS:
            is_ahead = "ahead of" if ahead_ms > 0 else "behind"
            raise ClockAskew(
                f"this machine's clock is {abs(ahead_ms) / 1000:.0f} s {is_ahead} the broker's: "
                "set whichever is wrong, and let NTP keep both"
            )
        self._agreed_ms = self._ahead_of_elapsed_ms()

    def believed_ms(self) -> int | None:
        """The time, once it has agreed with the broker's; None until then.

        Raises `ClockAskew` when it was set by more than they may differ since they last agreed.
        """
        if self._agreed_ms is None:
            return None
        moved_ms = self._ahead_of_elapsed_ms() - self._agreed_ms
        if abs(moved_ms) > SKEW_MS:
            raise ClockAskew(f"this machine's clock was set by {moved_ms / 1000:+.0f} s")
        return self.now_ms()

    def _ahead_of_elapsed_ms(self) -> int:
        return self.now_ms() - elapsed_ms(self._clock)
