"""Counting of one user and channel: never over a limit, in any window and on any day."""

from hypothesis import given
from hypothesis import strategies as st

from policies import caps
from policies.caps import NOTHING, SLOTS, Caps
from policies.rules import RateLimit

HOURLY = RateLimit(5, 3600)
HOUR = 3_600_000


def exceeded(
    row: Caps, *, now_ms: int = 0, local_day: int = 0, rate: RateLimit | None = None,
    category: str = "marketing", limit: int | None = None, own: int | None = None,
) -> str | None:  # fmt: skip
    return caps.exceeded(
        row, now_ms=now_ms, local_day=local_day, rate=rate, category=category,
        category_limit=limit, own_limit=own,
    )  # fmt: skip


def counted(row: Caps, *, now_ms: int = 0, local_day: int = 0, rate: RateLimit | None = None,
            category: str | None = "marketing") -> Caps:  # fmt: skip
    return caps.count(row, now_ms=now_ms, local_day=local_day, rate=rate, category=category)


@given(
    st.lists(st.integers(0, HOUR), max_size=60),
    st.integers(1, 6),
    st.sampled_from([60.0, 900.0, 3600.0]),
)
def test_no_window_holds_more_than_the_rate_limit(
    gaps_ms: list[int], limit: int, window_seconds: float
) -> None:
    rate = RateLimit(limit, window_seconds)
    row, now_ms, admitted = NOTHING, 1_767_225_600_000, list[int]()

    for gap_ms in gaps_ms:
        now_ms += gap_ms // 8
        if exceeded(row, now_ms=now_ms, rate=rate) is None:
            row = caps.decode(caps.encode(counted(row, now_ms=now_ms, rate=rate)))
            admitted.append(now_ms)

    for start in admitted:
        within = [at for at in admitted if start <= at < start + window_seconds * 1000]
        assert len(within) <= limit


def test_the_rate_limit_frees_up_at_most_a_slot_late() -> None:
    row = NOTHING
    for _ in range(5):
        row = counted(row, now_ms=HOUR, rate=HOURLY)

    assert exceeded(row, now_ms=2 * HOUR, rate=HOURLY) == "rate_limited"
    assert exceeded(row, now_ms=2 * HOUR + HOUR // SLOTS, rate=HOURLY) is None


def test_a_clock_set_back_does_not_free_the_rate_limit() -> None:
    row = NOTHING
    for _ in range(5):
        row = counted(row, now_ms=5 * HOUR, rate=HOURLY)

    assert exceeded(row, now_ms=4 * HOUR, rate=HOURLY) == "rate_limited"
    assert counted(row, now_ms=4 * HOUR, rate=HOURLY).counts == (6,)


def test_a_changed_rate_limit_begins_anew() -> None:
    row = counted(NOTHING, rate=RateLimit(1, 60))

    assert exceeded(row, rate=RateLimit(1, 60)) == "rate_limited"
    assert exceeded(row, rate=RateLimit(1, 120)) is None


def test_each_category_has_its_own_count_and_the_person_counts_all() -> None:
    row = counted(counted(NOTHING, category="marketing"), category="news")

    assert exceeded(row, category="marketing", limit=1) == "daily_limit"
    assert exceeded(row, category="transactional", limit=1) is None
    assert exceeded(row, category="transactional", own=2) == "daily_limit"
    assert exceeded(row, category="transactional", own=3) is None


def test_a_new_day_begins_with_nothing() -> None:
    row = counted(NOTHING, local_day=10)

    assert exceeded(row, local_day=10, limit=1) == "daily_limit"
    assert exceeded(row, local_day=11, limit=1) is None
    assert counted(row, local_day=11).by_category == (("marketing", 1),)


def test_moving_west_over_midnight_does_not_begin_the_day_again() -> None:
    row = counted(NOTHING, local_day=10)

    assert exceeded(row, local_day=9, limit=1) == "daily_limit"
    assert counted(row, local_day=9).by_category == (("marketing", 2),)


def test_a_row_expires_when_nothing_in_it_can_matter() -> None:
    daily = counted(NOTHING, local_day=10)
    hourly = counted(NOTHING, now_ms=100 * HOUR, rate=HOURLY, category=None)

    assert caps.expiry_ms(daily) == (11 * 24 + 12) * HOUR
    assert caps.expiry_ms(NOTHING) == 0
    assert exceeded(hourly, now_ms=caps.expiry_ms(hourly), rate=RateLimit(1, 3600)) is None


def test_a_row_is_small() -> None:
    row = counted(NOTHING, now_ms=1_767_225_600_000, local_day=20_454, rate=HOURLY)

    assert len(caps.encode(row)) < 40
    assert caps.decode(caps.encode(row)) == row
