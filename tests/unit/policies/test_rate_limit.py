"""Rate limits, seen from the provider's side: no window ever holds more than the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rate_limit import Bucket, Granted, Wait, share
from policies.rules import RateLimit

TEN = RateLimit(10, 1.0)
EMPTY_UNTIL_MS = 1_020


def taken(bucket: Bucket, tokens: int, now_ms: int, *, is_critical: bool = True) -> int:
    match bucket.take(tokens, now_ms, is_critical=is_critical):
        case Granted(granted):
            return granted
        case Wait():
            return 0


def assert_keeps(limit: RateLimit, accepted_ms: list[int]) -> None:
    for start in accepted_ms:
        within = [at for at in accepted_ms if start <= at < start + limit.window_seconds * 1000]
        assert len(within) <= limit.count


calls = st.tuples(
    st.integers(0, 400),  # how long after the call before
    st.integers(1, 30),  # tokens wanted
    st.integers(0, 1500),  # how long until the calls end (a slow commit, a slow provider)
    st.sampled_from([0.0, 0.5, 1.0]),  # when in between the provider accepts them
    st.booleans(),  # critical
    st.booleans(),  # the partition moves to another worker, once these calls have ended
)


class Worker:
    """Asks again as soon as it is told that it may, which is when a bucket would err."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit, self.now_ms, self.bucket = limit, 0, Bucket(limit, now_ms=0)
        self.open_calls: list[tuple[int, int]] = []
        self.accepted: list[int] = []

    def advance(self, ms: int) -> None:
        self.now_ms += ms
        for end_ms, tokens in sorted(self.open_calls):
            if end_ms <= self.now_ms:
                self.bucket.spent(tokens, end_ms)
        self.open_calls = [call for call in self.open_calls if call[0] > self.now_ms]

    def call(self, wanted: int, length_ms: int, where: float, *, is_critical: bool) -> None:
        match self.bucket.take(wanted, self.now_ms, is_critical=is_critical):
            case Granted(granted):
                self.open_calls.append((self.now_ms + length_ms, granted))
                self.accepted += [self.now_ms + round(length_ms * where)] * granted
            case Wait(wait_ms):
                self.advance(wait_ms)
                self.call(wanted, length_ms, where, is_critical=is_critical)

    def hand_over(self) -> None:
        """A drain waits for open calls; the successor knows nothing of this bucket."""
        self.now_ms = max([self.now_ms, *(end_ms for end_ms, _ in self.open_calls)])
        self.bucket, self.open_calls = Bucket(self.limit, now_ms=self.now_ms), []


@given(st.lists(calls, max_size=40), st.integers(1, 12), st.sampled_from([0.5, 1.0, 3.0]))
def test_no_window_of_the_provider_holds_more_through_slow_calls_and_handovers(
    steps: list[tuple[int, int, int, float, bool, bool]], count: int, window_seconds: float
) -> None:
    worker = Worker(RateLimit(count, window_seconds))

    for gap_ms, wanted, length_ms, where, is_critical, is_handover in steps:
        worker.advance(gap_ms)
        worker.call(wanted, length_ms, where, is_critical=is_critical)
        if is_handover:
            worker.hand_over()

    assert_keeps(worker.limit, worker.accepted)


def test_the_limit_is_used_nearly_to_the_full() -> None:
    bucket, sent = Bucket(TEN, now_ms=0), 0

    for now_ms in range(0, 60_000, 10):
        granted = taken(bucket, 5, now_ms)
        bucket.spent(granted, now_ms)
        sent += granted

    assert 0.95 * 590 <= sent <= 600


def test_a_bucket_starts_empty() -> None:
    bucket = Bucket(TEN, now_ms=0)

    assert bucket.take(10, 999, is_critical=True) == Wait(EMPTY_UNTIL_MS - 999)
    assert bucket.take(99, EMPTY_UNTIL_MS, is_critical=True) == Granted(10)


def test_a_reserve_is_left_to_critical_calls() -> None:
    bucket = Bucket(TEN, reserve=0.2, now_ms=0)

    assert bucket.take(10, 2_000) == Granted(8)
    assert isinstance(bucket.take(1, 2_000), Wait)
    assert bucket.take(10, 2_000, is_critical=True) == Granted(2)


def test_a_limit_of_one_keeps_no_reserve() -> None:
    assert Bucket(RateLimit(1, 1.0), reserve=0.5, now_ms=0).take(1, 2_000) == Granted(1)


def test_a_token_comes_back_a_window_after_its_call_has_ended() -> None:
    bucket = Bucket(RateLimit(1, 1.0), now_ms=0)
    assert taken(bucket, 1, 2_000) == 1

    assert bucket.take(1, 60_000) == Wait(1_000)  # the call is still open
    bucket.spent(1, 60_000)

    assert bucket.take(1, 60_999) == Wait(21)
    assert bucket.take(1, 61_020) == Granted(1)


def test_a_token_that_was_not_used_is_there_at_once() -> None:
    bucket = Bucket(RateLimit(1, 1.0), now_ms=0)
    assert taken(bucket, 1, 2_000) == 1

    bucket.unused(1)

    assert bucket.take(1, 2_000) == Granted(1)


def test_the_wait_is_exactly_until_a_token_is_there() -> None:
    bucket = Bucket(TEN, now_ms=0)
    bucket.spent(taken(bucket, 10, 2_000), 2_000)

    match bucket.take(1, 2_345, is_critical=True):
        case Wait(wait_ms):
            assert taken(bucket, 1, 2_345 + wait_ms - 1) == 0
            assert taken(bucket, 1, 2_345 + wait_ms) == 1
        case Granted():
            pytest.fail("it was empty")


@given(st.integers(1, 1000), st.integers(1, 64), st.data())
def test_shares_together_keep_the_limit(count: int, partitions: int, data: st.DataObject) -> None:
    limit = RateLimit(count, 1.0)
    left, shares = partitions, []
    while left:
        assigned = data.draw(st.integers(1, left))
        left -= assigned
        shares.append(share(limit, assigned=assigned, partitions=partitions))

    rates = [each.count / each.window_seconds for each in shares if each is not None]
    assert sum(rates) <= count + 1e-9


def test_no_partition_is_no_share() -> None:
    assert share(TEN, assigned=0, partitions=8) is None
    assert share(TEN, assigned=4, partitions=8) == RateLimit(5, 1.0)
    assert share(RateLimit(1, 1.0), assigned=1, partitions=8) == RateLimit(1, 8.0)
