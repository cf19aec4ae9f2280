"""How fast a sender may call: tokens before the intent, and a place in line for who gets none.

Time here is elapsed time: had somebody set the clock, tokens would be back too early, or never.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from policies.rate_limit import Bucket, Granted, share
from policies.rules import RateLimit
from schemas.delivery import DeliveryBatch, Lane

_TURNS = 20
"""Into so many turns at the most a window is divided: each is a schedule row of its own."""


class Line:
    """A bucket, and for each lane the line of those that wait for its tokens.

    Whoever waits is told to come back when its turn is likely, so that a long line is not asked
    again and again. A place is no promise: the bucket decides.

    Turns are spread over the window. If all that a window allows came at once, a window after
    those before them, they would come while the tokens of these are still out, since a token
    comes back a window after its call has *ended*: every second window would be lost.
    """

    def __init__(self, limit: RateLimit, elapsed_ms: int) -> None:
        self._bucket = Bucket(limit, now_ms=elapsed_ms)
        self._window_ms = max(1, round(limit.window_seconds * 1000))
        self._places = max(1, limit.count // _TURNS)
        self._turn_ms = self._window_ms * self._places / max(1, limit.count)
        self._ends: dict[Lane, tuple[float, int]] = {}
        """The instant that the last in line come back at, and how many they are."""
        self._soon = (0, 0)
        """The same of those who came a moment too early."""

    def take(self, batch: DeliveryBatch, calls: int, elapsed_ms: int) -> int:
        """How many of `calls` requests may be made now; each goes back by `spent` or `unused`."""
        if calls == 0:
            return 0
        answer = self._bucket.take(calls, elapsed_ms, is_critical=batch.lane == "critical")
        return answer.tokens if isinstance(answer, Granted) else 0

    def wait_ms(self, batch: DeliveryBatch, elapsed_ms: int, *, until_ms: int) -> int | None:
        """After what time one request that got no token is to be tried again.

        None when its turn would not come before `until_ms`, which is elapsed time, too. It has no
        place then: nobody behind it waits for somebody who will not come.
        """
        back_ms = elapsed_ms + self._bucket.wait_ms(
            elapsed_ms, is_critical=batch.lane == "critical"
        )
        if back_ms >= until_ms:
            return None
        if back_ms <= elapsed_ms + self._turn_ms:
            at_ms, waiting = self._soon
            self._soon = (back_ms, waiting + 1) if at_ms == back_ms else (back_ms, 1)
            if self._soon[1] <= self._places:
                return back_ms - elapsed_ms
        soonest_ms = elapsed_ms + self._window_ms
        end_ms, waiting = self._ends.get(batch.lane, (0, 0))
        if end_ms < soonest_ms:
            end_ms, waiting = soonest_ms, 0
        elif waiting >= self._places:
            end_ms, waiting = end_ms + self._turn_ms, 0
        if int(end_ms) >= until_ms:
            return None
        self._ends[batch.lane] = end_ms, waiting + 1
        return int(end_ms) - elapsed_ms

    def spent(self, calls: int, elapsed_ms: int) -> None:
        self._bucket.spent(calls, elapsed_ms)

    def unused(self, calls: int) -> None:
        self._bucket.unused(calls)


class Pace(Protocol):
    """The rate limits of a role."""

    def take_over(self, partitions: Collection[int], elapsed_ms: int) -> None:
        """To be called at every take-over, of all partitions that this worker has now, once earlier
        owners are fenced. Buckets are empty as of then: an intent is committed between a token and
        its call, so no token that is taken later becomes a call of theirs."""
        ...

    def line(self, partition: int, batch: DeliveryBatch, elapsed_ms: int) -> Line | None:
        """Where these deliveries take their tokens; None where nothing limits them."""
        ...


class WorkerPace:
    """One limit of the provider; this worker has the share of its partitions."""

    def __init__(self, *, limit: RateLimit | None, partitions: int) -> None:
        self._limit = limit
        self._partitions = partitions
        self._line: Line | None = None

    def take_over(self, partitions: Collection[int], elapsed_ms: int) -> None:
        part = (
            share(self._limit, assigned=len(partitions), partitions=self._partitions)
            if self._limit
            else None
        )
        self._line = Line(part, elapsed_ms) if part else None

    def line(self, partition: int, batch: DeliveryBatch, elapsed_ms: int) -> Line | None:
        return self._line


class SenderPace:
    """A limit for each sender id (SMS), kept whole by the one partition that the id is in."""

    def __init__(self, *, limits: Mapping[str, RateLimit]) -> None:
        self._limits = limits
        self._lines: dict[tuple[int, str], Line] = {}
        self._fenced_ms: int | None = None

    def take_over(self, partitions: Collection[int], elapsed_ms: int) -> None:
        self._lines = {}
        self._fenced_ms = elapsed_ms

    def line(self, partition: int, batch: DeliveryBatch, elapsed_ms: int) -> Line | None:
        limit = self._limits.get(batch.sender)
        if limit is None:
            return None
        line = self._lines.get((partition, batch.sender))
        if line is None:
            assert self._fenced_ms is not None, "nothing was taken over"
            line = self._lines[partition, batch.sender] = Line(limit, self._fenced_ms)
        return line
