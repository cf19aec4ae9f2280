"""Requests that are alike are weighed together; of each becomes what would become of it alone."""

import random
from typing import Any

import pytest

from agents.stage import Item
from schemas.delivery import Body, Target
from schemas.kafka import Record
from schemas.notification import NotificationRequest
from tables.state import Kind
from tests.doubles import MemoryState
from tests.unit.agents.decide_side import (
    NOW_MS,
    batches,
    decide,
    profile,
    receipts,
    request,
    state_with,
    waiting,
)


def known() -> MemoryState:
    return state_with(
        ann=profile(devices=2),
        bob=profile(on={"email": False}),
        cat=profile(quiet="00:00-23:59"),
        dan=profile(email=None),
    )


_FIELDS: dict[str, list[Any]] = {
    "metadata": [{"n": 1}, {"n": True}, {"n": 1.0}],
    "tenant": ["shop"],
    "ttl_seconds": [600, 86_400],
    "send_at": ["2026-03-01T12:30:00Z"],
    "appended_ms": [NOW_MS - 5, NOW_MS - 1000, NOW_MS - 700_000],
    "channels": [["email"], ["push"]],
    "priority": ["bulk"],
    "idempotency_key": ["a", "b", "c", "d"],
    "recipient": [{"email": "eve@example.org"}],
    "headers": [(("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)],
}


def some_requests(chance: random.Random) -> list[Item[NotificationRequest]]:
    types = chance.sample(("promotion", "digest", "order_confirmed", "everywhere"), 2)
    is_varied = {name: chance.random() < 0.3 for name in _FIELDS}
    asked = []
    for number in range(40):
        fields: dict[str, Any] = {
            "user_id": chance.choice(("ann", "bob", "cat", "dan", "eve")),
            "type_name": types[chance.random() < 0.2],
            "data": {"number": number},
            "offset": number,
        }
        for name, values in _FIELDS.items():
            if is_varied[name] and chance.random() < 0.5:
                fields[name] = chance.choice(values)
        asked.append(request(**fields))
    return asked


def said_of(records: list[Record]) -> list[str]:
    """Receipts as they read: 1 equals True, and does not read like it."""
    return sorted(map(str, receipts(records)))


def sent(records: list[Record]) -> list[tuple[str, Target, Body]]:
    found = []
    for record, batch in batches(records):
        for target in batch.targets:
            at = Target(**{
                name: getattr(target, name) for name in target.__struct_fields__ if name != "body"
            })  # fmt: skip
            found.append((record.topic, at, batch.body_of(target)))
    return sorted(found, key=str)


@pytest.mark.parametrize("seed", range(40))
async def test_requests_decided_together_end_as_each_would_alone(seed: int) -> None:
    asked = some_requests(random.Random(seed))
    one_by_one, together = known(), known()
    alone: list[Record] = []
    for item in asked:
        alone += (await decide(one_by_one, item)).records

    at_once = (await decide(together, *asked)).records

    assert said_of(at_once) == said_of(alone)
    assert sent(at_once) == sent(alone)
    assert rows_of(together) == rows_of(one_by_one)
    assert held_of(together) == held_of(one_by_one)


def rows_of(state: MemoryState) -> list[tuple[bytes, bytes]]:
    """Caps, and what is remembered of requests."""
    return state.scan(Kind.TRANSIENT, b"", b"\xff", 1000)


def held_of(state: MemoryState) -> list[tuple[int, str, bytes, Body | None]]:
    return sorted(
        (
            (due_ms, waiter.user_id, waiter.notification_id, each.body)
            for due_ms, each in waiting(state)
            for waiter in each.waiters
        ),
        key=str,
    )
