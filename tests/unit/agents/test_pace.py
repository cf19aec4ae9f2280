"""Those who wait for tokens: none of the rate is lost, and nobody is asked again and again."""

import heapq
from typing import NamedTuple

import msgspec
import pytest

from agents.pace import Line, Pace, SenderPace, WorkerPace
from policies.rules import RateLimit
from tests.unit.agents.desk import NOW_MS, batch_of

CRITICAL = msgspec.structs.replace(batch_of("ann"), lane="critical")


def wait_ms(line: Line, now_ms: int) -> int:
    """Of somebody who can wait for long."""
    wait = line.wait_ms(CRITICAL, now_ms, until_ms=now_ms + 86_400_000)
    assert wait is not None
    return wait


class Served(NamedTuple):
    per_second: float
    asked: float
    """How often each came, to be told to come back or to go."""


def serve(crowd: int, limit: RateLimit, *, call_ms: int) -> Served:
    """All of a crowd that comes at once, a call each, which takes so long."""
    line = Line(limit, NOW_MS)
    due = [(NOW_MS, number) for number in range(crowd)]
    ends: list[tuple[int, int]] = []
    asked, now_ms = 0, NOW_MS
    while due:
        now_ms = due[0][0]
        while ends and ends[0][0] <= now_ms:
            at_ms, calls = heapq.heappop(ends)
            line.spent(calls, at_ms)
        here = [heapq.heappop(due)[1] for _ in range(len(due)) if due[0][0] == now_ms]
        asked += len(here)
        taken = line.take(CRITICAL, len(here), now_ms)
        if taken:
            heapq.heappush(ends, (now_ms + call_ms, taken))
        for number in here[taken:]:
            heapq.heappush(due, (now_ms + wait_ms(line, now_ms), number))
    return Served(crowd / (now_ms - NOW_MS) * 1000, asked / crowd)


@pytest.mark.parametrize("rate", [1, 10, 600])
@pytest.mark.parametrize("call_ms", [1, 30, 100])
def test_a_crowd_that_waits_goes_out_at_nearly_the_rate(rate: int, call_ms: int) -> None:
    served = serve(30 * rate, RateLimit(rate, 1.0), call_ms=call_ms)

    # A token is out for a window and a call: what that costs is not the line's.
    most = rate * 1000 / (1000 + call_ms)
    assert 0.9 * most <= served.per_second <= most
    assert served.asked < 4


def test_who_cannot_wait_for_their_turn_make_nobody_behind_them_wait() -> None:
    line = Line(RateLimit(2, 1.0), NOW_MS)
    for _ in range(2):
        wait_ms(line, NOW_MS)

    for _ in range(4):
        assert line.wait_ms(CRITICAL, NOW_MS, until_ms=NOW_MS + 2000) is None

    assert wait_ms(line, NOW_MS) == 2000


def test_those_behind_come_later_than_those_before() -> None:
    line = Line(RateLimit(2, 1.0), NOW_MS)

    waits_ms = [wait_ms(line, NOW_MS) for _ in range(4)]

    assert waits_ms == [1000, 1500, 2000, 2500]


LIMIT = RateLimit(10, 1.0)
RESTORE_MS = 5_000


@pytest.mark.parametrize(
    "pace", [WorkerPace(limit=LIMIT, partitions=1), SenderPace(limits={"us": LIMIT})]
)
def test_tokens_come_back_while_a_partition_is_restored(pace: Pace) -> None:
    batch = msgspec.structs.replace(CRITICAL, sender="us")

    pace.take_over({0}, NOW_MS)

    line = pace.line(0, batch, NOW_MS + RESTORE_MS)  # asked for the first time
    assert line is not None
    assert line.take(batch, 20, NOW_MS + RESTORE_MS) == 10
    assert line.take(batch, 20, NOW_MS + RESTORE_MS) == 0


@pytest.mark.parametrize(
    "pace", [WorkerPace(limit=LIMIT, partitions=1), SenderPace(limits={"us": LIMIT})]
)
def test_what_an_earlier_owner_spent_up_to_its_fence_counts_for_a_window(pace: Pace) -> None:
    batch = msgspec.structs.replace(CRITICAL, sender="us")
    pace.take_over({0}, NOW_MS)
    line = pace.line(0, batch, NOW_MS)
    assert line is not None
    assert line.take(batch, 10, NOW_MS + 2_000) == 10

    pace.take_over({0}, NOW_MS + 2_000)

    line = pace.line(0, batch, NOW_MS + 3_000)
    assert line is not None
    assert line.take(batch, 10, NOW_MS + 3_000) == 0
    assert line.take(batch, 10, NOW_MS + 3_021) == 10  # a grain later
