"""What was asked before is told once, by whatever key, batch or crash it comes again."""

from typing import Any

import pytest

from tables.state import Kind
from tests.unit.agents.decide_side import (
    DAY,
    HOUR,
    NOW_MS,
    decide,
    profile,
    receipts,
    request,
    state_with,
    told,
)


@pytest.mark.parametrize(
    ("second", "apart_ms", "expected"),
    [
        # Within the window the same request is one notification, ...
        ({}, 1000, ("", "duplicate", "")),
        ({}, 23 * HOUR, ("", "duplicate", "")),
        # ... another content under its key is a conflict; times do not count as content.
        ({"data": {"percent": 30}}, 1000, ("", "rejected", "idempotency_conflict")),
        ({"send_at": "2026-03-01T15:00:00Z"}, 1000, ("", "duplicate", "")),
        # Past the window, and for another tenant, it is a new one.
        ({}, 24 * HOUR, ("email", "queued", "")),
        ({"tenant": "shop"}, 1000, ("email", "queued", "")),
        # One that was overtaken on a faster lane is still the same.
        ({}, -1000, ("", "duplicate", "")),
    ],
)
async def test_a_repeat_is_judged_by_the_append_times_of_the_two_records(
    second: dict[str, Any], apart_ms: int, expected: tuple[str, str, str]
) -> None:
    state = state_with(ann=profile())
    fields: dict[str, Any] = {"idempotency_key": "k", "data": {"percent": 20}}
    first = request(**fields)
    again = request(offset=1, appended_ms=NOW_MS + apart_ms, **(fields | second))

    await decide(state, first)
    done = await decide(state, again, now_ms=NOW_MS + max(apart_ms, 0))

    assert told(done.records) == [expected]
    assert [each.kind for each in receipts(done.records)] == [
        "delivery" if expected[1] == "queued" else "request"
    ]


async def test_repeats_within_one_batch_are_one_notification() -> None:
    state = state_with(ann=profile())

    done = await decide(state, *(request(idempotency_key="k", offset=n) for n in range(3)))

    assert [status for _, status, _ in told(done.records)].count("queued") == 1
    assert len({each.receipt_id for each in receipts(done.records)}) == 3


async def test_a_backlog_is_deduplicated_as_if_it_had_been_read_at_once() -> None:
    state = state_with(ann=profile())
    late = NOW_MS + 30 * HOUR

    await decide(state, request(idempotency_key="k", ttl_seconds=40 * 3600), now_ms=late)
    done = await decide(
        state, request(idempotency_key="k", offset=1, appended_ms=NOW_MS + HOUR), now_ms=late + DAY
    )

    assert told(done.records) == [("", "duplicate", "")]


async def test_a_key_used_again_after_the_window_makes_a_new_delivery() -> None:
    state = state_with(ann=profile())

    first = await decide(state, request(idempotency_key="k"))
    later = NOW_MS + 2 * DAY
    second = await decide(
        state, request(idempotency_key="k", offset=1, appended_ms=later), now_ms=later
    )

    (one,), (two,) = receipts(first.records), receipts(second.records)
    assert one.notification_id == two.notification_id
    assert one.delivery_id != two.delivery_id


async def test_requests_without_a_key_are_told_apart_by_where_they_stand() -> None:
    state = state_with(ann=profile())

    done = await decide(state, request(offset=1), request(offset=2))

    assert len({each.notification_id for each in receipts(done.records)}) == 2
    assert state.count(Kind.TRANSIENT, b"d") == 0


async def test_a_crash_before_the_yield_leaves_nothing_and_the_same_comes_out_again() -> None:
    first = await decide(state_with(ann=profile()), request())
    again = await decide(state_with(ann=profile()), request())

    assert first.records == again.records


# Order and reasons of decisions.
