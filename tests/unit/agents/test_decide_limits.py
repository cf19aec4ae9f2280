"""Caps, rates and times of day: what is suppressed, put off or expires."""

from tests.unit.agents.decide_side import (
    DAY,
    HOUR,
    MINUTE,
    NOW_MS,
    batches,
    decide,
    profile,
    request,
    state_with,
    told,
    waiting,
)


async def test_a_daily_limit_counts_within_one_batch_and_over_batches() -> None:
    state = state_with(ann=profile())

    first = await decide(state, request(offset=0), request(offset=1), request(offset=2))
    second = await decide(state, request(offset=3))

    assert [reason for *_, reason in told(first.records)] == ["", "", "daily_limit"]
    assert [reason for *_, reason in told(second.records)] == ["daily_limit"]


async def test_a_daily_limit_ends_with_the_users_own_day() -> None:
    state = state_with(ann=profile())
    await decide(state, request(offset=0), request(offset=1))

    midnight_in_berlin = NOW_MS + 11 * HOUR
    before = await decide(
        state, request(offset=2, appended_ms=midnight_in_berlin - 1), now_ms=midnight_in_berlin - 1
    )
    after = await decide(
        state, request(offset=3, appended_ms=midnight_in_berlin), now_ms=midnight_in_berlin
    )

    assert told(before.records) == [("email", "suppressed", "daily_limit")]
    assert told(after.records) == [("email", "queued", "")]


async def test_a_rate_limit_holds_for_mandatory_types_too() -> None:
    state = state_with(ann=profile())

    done = await decide(state, *(request(type_name="login_code", offset=n) for n in range(4)))

    assert [reason for *_, reason in told(done.records)] == ["", "", "", "rate_limited"]


async def test_a_category_may_put_off_what_is_over_its_limit_without_counting_it() -> None:
    state = state_with(ann=profile())

    done = await decide(
        state, request(type_name="digest", offset=0), request(type_name="digest", offset=1)
    )

    assert told(done.records) == [("email", "queued", ""), ("email", "deferred", "daily_limit")]
    ((due_ms, row),) = waiting(state)
    assert (due_ms, row.is_counted) == (NOW_MS + 11 * HOUR, False)


# Waiting.


async def test_quiet_hours_defer_to_their_end_in_the_users_zone() -> None:
    state = state_with(ann=profile(quiet="12:00-15:30"))  # it is 13:00 in Berlin

    done = await decide(state, request())

    assert told(done.records) == [("email", "deferred", "quiet_hours")]
    ((due_ms, row),) = waiting(state)
    assert (due_ms, row.is_counted) == (NOW_MS + 150 * MINUTE, True)
    assert [waiter.user_id for waiter in row.waiters] == ["ann"]
    assert batches(done.records) == []


async def test_quiet_hours_longer_than_its_life_let_it_expire() -> None:
    state = state_with(ann=profile(quiet="12:00-15:30"))

    done = await decide(state, request(ttl_seconds=3600))

    assert told(done.records) == [("email", "expired", "quiet_hours")]
    assert waiting(state) == []


async def test_send_at_waits_undecided_and_lives_from_then_on() -> None:
    state = state_with(ann=profile(on={"email": False}))

    done = await decide(state, request(send_at="2026-03-04T12:00:00Z"))

    assert told(done.records) == [("email", "deferred", "scheduled")]
    ((due_ms, row),) = waiting(state)
    assert (due_ms, row.is_counted) == (NOW_MS + 3 * DAY, False)
    assert row.body is not None
    assert row.body.expires_ms == NOW_MS + 4 * DAY


# Errors of ours.
