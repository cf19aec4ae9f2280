"""The clocks of machines in a story, and how processes watch them."""

from streams.watched_clock import WatchedClock
from tests.simulation.loop import VirtualLoop


class MachineClock:
    """Of the machine that a slot is on; somebody may have set it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.ahead_ms = 0
        self.was_set = False

    def set(self, by_ms: int) -> None:
        """To be so much ahead of the right time."""
        self.ahead_ms = by_ms
        self.was_set = True

    def now_ms(self) -> int:
        return self._loop.now_ms() + self.ahead_ms

    def elapsed_seconds(self) -> float:
        return self._loop.time()


class StoryClock(WatchedClock):
    """A world in a hurry sets all of its clocks forward: to who watches one, so much time went by."""

    def __init__(self, machine: MachineClock) -> None:
        self._machine = machine
        super().__init__(machine)

    def _ahead_of_elapsed_ms(self) -> int:
        return self._machine.ahead_ms
