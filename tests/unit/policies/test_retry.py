"""What follows from an outcome, one row a rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import in_doubt
from policies.retry import (
    LADDER_MS,
    MAX_ATTEMPTS,
    Hold,
    InDoubtFor,
    Next,
    RetryAt,
    Sent,
    Settled,
    after,
    ladder_delay_ms,
)
from policies.rules import Category, InDoubt, NotificationType, Rules
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
    Unknown,
)

NOW = 1_767_225_600_000
DAY = 86_400_000
UNIT = b"unit"


def follow(
    outcome: Outcome, *, attempt: int = 1, call: int = 1, free_calls: int = 0, ttl_ms: int = DAY,
    doubt: InDoubt = "hold", unit_id: bytes = UNIT,
) -> Next:  # fmt: skip
    return after(
        outcome, attempt=attempt, call=call, free_calls=free_calls, unit_id=unit_id,
        expires_ms=NOW + ttl_ms, in_doubt=doubt, now_ms=NOW,
    )  # fmt: skip


UNREACHABLE = NotProcessed(consumes_attempt=True, reason="unreachable")
STEP = ladder_delay_ms(1, 1, UNIT) or 0

TABLE: list[tuple[str, Next, Next]] = [
    ("accepted", follow(Accepted()), Sent()),
    ("the address will never work", follow(AddressInvalid()), Settled("failed", "address_invalid")),
    ("refused for good", follow(Rejected(reason="too_long")), Settled("failed", "too_long")),
    ("bad credentials: kept", follow(Misconfigured()), Hold(NOW + 60_000, 2, "bad_credentials")),
    ("bad credentials for longer than it lives", follow(Misconfigured(), ttl_ms=60_000),
     Settled("expired", "provider_misconfigured")),
    ("not processed: the next attempt", follow(UNREACHABLE),
     RetryAt(NOW + STEP, 2, 2, "unreachable")),
    ("not processed at the last attempt", follow(UNREACHABLE, attempt=4, call=4),
     Settled("failed", "attempts_exhausted")),
    ("not processed, expires before the next", follow(UNREACHABLE, ttl_ms=STEP),
     Settled("expired", "unreachable")),
    ("the provider asks for longer than the ladder",
     follow(NotProcessed(consumes_attempt=True, retry_after_seconds=3600, reason="server_error")),
     RetryAt(NOW + 3_600_000, 2, 2, "server_error")),
    ("draining: the successor calls at once, the same attempt",
     follow(NotProcessed(reason="draining"), attempt=2, call=5, free_calls=3),
     RetryAt(NOW, 2, 6, "draining", free_calls=3)),
    ("spoilt by another one: the next call goes at once, the same attempt",
     follow(NotProcessed(reason="spoilt"), attempt=2, call=9), RetryAt(NOW, 2, 10, "spoilt")),
    ("throttled for longer than it lives",
     follow(NotProcessed(retry_after_seconds=10), ttl_ms=10_000), Settled("expired", "throttled")),
    ("unknown, rather not twice", follow(Unknown()), InDoubtFor("timeout", may_fall_back=False)),
    ("unknown, rather twice than not at all", follow(Unknown(), doubt="resend"),
     RetryAt(NOW + STEP, 2, 2, "timeout", is_in_doubt=True)),
    ("unknown at the last attempt: in doubt, not failed",
     follow(Unknown(), attempt=4, call=4, doubt="resend"), InDoubtFor("timeout", may_fall_back=True)),
    ("unknown, expires before the next: in doubt, not expired",
     follow(Unknown(), ttl_ms=STEP, doubt="resend"), InDoubtFor("timeout", may_fall_back=False)),
    ("an intent without an outcome, rather not twice",
     in_doubt.at_take_over(attempt=1, call=1, unit_id=UNIT, expires_ms=NOW + DAY, in_doubt="hold",
                           now_ms=NOW), InDoubtFor("outcome_lost", may_fall_back=False)),
    ("an intent without an outcome, rather twice",
     in_doubt.at_take_over(attempt=1, call=1, unit_id=UNIT, expires_ms=NOW + DAY,
                           in_doubt="resend", now_ms=NOW),
     RetryAt(NOW + STEP, 2, 2, "outcome_lost", is_in_doubt=True)),
]  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE])
def test_after(found: Next, expected: Next) -> None:
    assert found == expected


@given(st.binary(min_size=1, max_size=16), st.integers(1, MAX_ATTEMPTS - 1), st.integers(1, 99))
def test_the_ladder_is_kept_within_a_tenth_and_always_alike(
    unit_id: bytes, attempt: int, call: int
) -> None:
    delay_ms = ladder_delay_ms(attempt, call, unit_id)

    assert delay_ms is not None
    assert 0.9 * LADDER_MS[attempt - 1] <= delay_ms <= 1.1 * LADDER_MS[attempt - 1]
    assert delay_ms == ladder_delay_ms(attempt, call, unit_id)


def test_jitter_spreads_units_and_calls() -> None:
    units = {ladder_delay_ms(1, 1, f"unit {n}".encode()) for n in range(100)}
    calls = {ladder_delay_ms(1, call, UNIT) for call in range(1, 101)}

    assert len(units) > 90
    assert len(calls) > 90


@given(st.integers(1, 4), st.integers(0, 40), st.floats(0, 1e6))
def test_load_costs_no_attempt_and_waits_at_least_as_long_as_asked(
    attempt: int, free_calls: int, retry_after_seconds: float
) -> None:
    throttled = NotProcessed(retry_after_seconds=retry_after_seconds)

    found = follow(throttled, attempt=attempt, call=9, free_calls=free_calls, ttl_ms=10 * DAY)

    assert isinstance(found, RetryAt)
    assert (found.attempt, found.call, found.free_calls) == (attempt, 10, free_calls + 1)
    wait_ms = found.due_ms - NOW
    assert wait_ms >= 1_000
    assert wait_ms >= round(min(retry_after_seconds * 1000, DAY))
    assert wait_ms <= 1.1 * DAY + 1


def test_load_is_met_by_ever_longer_waits_up_to_a_bound() -> None:
    waits, free_calls = [], 0
    for call in range(1, 20):
        found = follow(NotProcessed(reason="breaker_open"), call=call, free_calls=free_calls)
        assert isinstance(found, RetryAt)
        waits.append(found.due_ms - NOW)
        free_calls = found.free_calls

    assert waits[:8] == sorted(waits[:8])
    assert waits[0] < 1_200
    assert all(300_000 <= wait_ms <= 330_000 for wait_ms in waits[9:])


def test_who_waited_often_for_something_else_waits_no_longer_for_a_provider() -> None:
    """For rate tokens, or for the end of a stop: each is another call of the delivery, too."""
    found = follow(NotProcessed(reason="unreachable"), call=12)

    assert isinstance(found, RetryAt)
    assert found.due_ms - NOW < 1_200


@pytest.mark.parametrize("outcome", [UNREACHABLE, Unknown()])
def test_what_costs_an_attempt_ends_the_row_of_those_that_cost_none(outcome: Outcome) -> None:
    found = follow(outcome, call=6, free_calls=5, doubt="resend")

    assert isinstance(found, RetryAt)
    assert found.free_calls == 0


def test_a_type_that_is_no_longer_configured_is_never_sent_twice() -> None:
    category = Category("security", in_doubt="resend")
    rules = Rules(types={"code": NotificationType("code", category, ("sms",))})

    assert in_doubt.policy_of(rules, "code") == "resend"
    assert in_doubt.policy_of(rules, "gone") == "hold"
