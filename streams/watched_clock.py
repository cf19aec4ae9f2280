"""`WatchedClock`: this machine's clock, which is believed as long as it agrees with the broker's.

Whatever is decided is decided by a worker's own clock. Were it an hour ahead, people would be woken an
hour early; a day, and what guards against repeats would be gone. Brokers date every record that they
append, so each transaction shows whether the two clocks agree; where they do not, it is not committed,
and the worker ends. Between transactions a clock that is set shows by time that elapses, which nobody
can set: what it was ahead of that is noted whenever it is read.
"""

from policies.clock import Clock, elapsed_ms
from policies.stop_facts import SKEW_MS


class ClockAskew(RuntimeError):
    """Raised where this machine's clock cannot be believed: nothing that goes by it may be committed."""


class WatchedClock:
    """A clock for one life of a worker; all that is decided in it goes by this one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._has_agreed = False
        self._least_ms = self._most_ms = self._ahead_of_elapsed_ms()
        """Since it last agreed, or from the beginning on."""

    def now_ms(self) -> int:
        ahead_ms = self._ahead_of_elapsed_ms()
        if ahead_ms < self._least_ms:
            self._least_ms = ahead_ms
        elif ahead_ms > self._most_ms:
            self._most_ms = ahead_ms
        return self._clock.now_ms()

    def elapsed_seconds(self) -> float:
        return self._clock.elapsed_seconds()

    def compare(self, appended_ms: int, *, asked_ms: int) -> None:
        """Raises `ClockAskew` unless a record that was to be appended from `asked_ms` on, by this clock,
        and has been, was appended at a time near that: at `appended_ms` by the broker's. Likewise if
        this clock was set since it last agreed.

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
        self._refuse_if_set()
        self._has_agreed = True
        self._least_ms = self._most_ms = self._ahead_of_elapsed_ms()

    def believed_ms(self) -> int | None:
        """The time, once it has agreed with the broker's; None until then.

        Raises `ClockAskew` when it was set by more than they may differ since they last agreed.
        """
        now_ms = self.now_ms()
        if not self._has_agreed:
            return None
        self._refuse_if_set()
        return now_ms

    def _refuse_if_set(self) -> None:
        moved_ms = self._most_ms - self._least_ms
        if moved_ms > SKEW_MS:
            raise ClockAskew(f"this machine's clock was set by {moved_ms / 1000:.0f} s")

    def _ahead_of_elapsed_ms(self) -> int:
        return self._clock.now_ms() - elapsed_ms(self._clock)
