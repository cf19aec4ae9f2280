"""How much work may be under way at once, by the bytes it was read from.

What waits is bounded where it waits; what was taken is decoded, several times as large, and
lives until it is committed. Each urgency has a room of its own, so that a flood of bulk work
can fill the memory it was given and never keeps anything urgent from starting.
"""

from collections.abc import Callable


class Room:
    """Shared by all partitions of a process. Whoever finds it full is called when it is not."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._waiting: dict[object, Callable[[], None]] = {}

    @property
    def is_full(self) -> bool:
        return self._used_bytes >= self._limit_bytes

    @property
    def is_half_used(self) -> bool:
        return 2 * self._used_bytes > self._limit_bytes

    def wait(self, who: object, start: Callable[[], None]) -> None:
        """`start` is called once, in turn, when there is space again."""
        self._waiting.setdefault(who, start)

    def enter(self, size_bytes: int) -> None:
        """The last one in may be larger than what is left: nothing is too large to be done."""
        self._used_bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        self._used_bytes -= size_bytes
        while self._waiting and not self.is_full:
            self._waiting.pop(next(iter(self._waiting)))()
