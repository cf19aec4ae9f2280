"""Rate limits that hold in every window, however it slides, and through a change of worker.

A bucket lends tokens. A token is taken before a call and comes back one window after the call
has ended. The provider accepts a call at some instant between; at any instant no more tokens
are out than the limit has, so no window that the provider can look at holds more accepted
calls. Nothing is assumed about how long a commit, a call or the network takes.

A bucket starts empty, as if its predecessor had spent every token at the last moment: when it
was fenced, after which no token that it takes becomes a call. What it had in flight then without
being drained, as when it was killed, may be accepted a moment later: the network's, or, where it
lives on, a call's. That is the one thing that this cannot count.
"""

from collections import deque
from dataclasses import dataclass

from policies.rules import RateLimit

_GRAINS = 50
"""Tokens spent within this part of a window come back together: bounds memory, costs at most 2 %."""


@dataclass(frozen=True, slots=True)
class Granted:
    """This many calls may be made, each to be given back by `spent` or `unused`."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Wait:
    """None now; ask again after this time."""

    wait_ms: int


class Bucket:
    """Tokens of one limit, for one worker. The caller tells the time; it must not run backwards."""

    __slots__ = ("_grain_ms", "_lent", "_limit", "_reserve", "_returning", "_spent", "_window_ms")

    def __init__(self, limit: RateLimit, *, reserve: float = 0.1, now_ms: int) -> None:
        """`reserve` is the part of the limit that only critical calls may take."""
        self._limit = limit.count
        self._window_ms = max(1, round(limit.window_seconds * 1000))
        self._grain_ms = max(1, self._window_ms // _GRAINS)
        self._reserve = min(round(limit.count * reserve), limit.count - 1)
        self._lent = 0
        self._spent = 0
        self._returning: deque[tuple[int, int]] = deque()
        """(instant at which they are back, tokens), in order."""
        if limit.count > 0:
            self._put_out(limit.count, now_ms)

    def take(self, tokens: int, now_ms: int, *, is_critical: bool = False) -> Granted | Wait:
        """At most `tokens`, at least one, or how long to wait for the first."""
        free = self._free(now_ms, is_critical)
        if free > 0:
            granted = min(tokens, free)
            self._lent += granted
            return Granted(granted)
        return Wait(self._wait_ms(1 - free, now_ms))

    def wait_ms(self, now_ms: int, *, is_critical: bool = False) -> int:
        """Until there is a token, as far as can be told; 0 when there is one."""
        free = self._free(now_ms, is_critical)
        return 0 if free > 0 else self._wait_ms(1 - free, now_ms)

    def spent(self, tokens: int, now_ms: int) -> None:
        """These calls have ended, whatever their outcome."""
        self._lent -= tokens
        self._put_out(tokens, now_ms)

    def unused(self, tokens: int) -> None:
        """These calls were not begun, and never will be."""
        self._lent -= tokens

    def _put_out(self, tokens: int, now_ms: int) -> None:
        self._spent += tokens
        back_ms = (now_ms // self._grain_ms + 1) * self._grain_ms + self._window_ms
        if self._returning and self._returning[-1][0] >= back_ms:
            back_ms, before = self._returning.pop()
            tokens += before
        self._returning.append((back_ms, tokens))

    def _free(self, now_ms: int, is_critical: bool) -> int:
        self._collect(now_ms)
        return self._limit - self._lent - self._spent - (0 if is_critical else self._reserve)

    def _collect(self, now_ms: int) -> None:
        while self._returning and self._returning[0][0] <= now_ms:
            self._spent -= self._returning.popleft()[1]

    def _wait_ms(self, missing: int, now_ms: int) -> int:
        """Until so many are back; those of calls that go on return a window later at the earliest."""
        for back_ms, tokens in self._returning:
            missing -= tokens
            if missing <= 0:
                return back_ms - now_ms
        return self._window_ms


def share(limit: RateLimit, *, assigned: int, partitions: int) -> RateLimit | None:
    """What a worker with `assigned` of `partitions` may use, so that all shares keep the limit.

    Rounded down. A worker whose share is below one call a window gets one in a longer window:
    the rate still holds on average, but not in each window across workers; a limit as tight as
    that belongs to a single partition, as an SMS sender's does. None when nothing is assigned.
    """
    if assigned == 0:
        return None
    tokens = limit.count * assigned // partitions
    if tokens > 0:
        return RateLimit(tokens, limit.window_seconds)
    return RateLimit(1, limit.window_seconds * partitions / (limit.count * assigned))
