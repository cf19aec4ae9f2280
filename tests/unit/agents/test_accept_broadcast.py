"""Broadcasts are accepted once, and divided among partitions."""

from typing import Any

import msgspec
import pytest

from agents.accept_broadcast import AcceptBroadcast
from agents.stage import Item
from schemas.broadcast import AcceptedBroadcast, decode_accepted
from schemas.ids import partition_of
from schemas.notification import BroadcastRequest
from schemas.topics import BROADCASTS_ACCEPTED
from tests.doubles import BatchOf, Driven, MemoryState, drive
from tests.unit.agents.decide_side import NOW_MS, PARTITIONS, receipts, terms


def broadcast(
    *, offset: int = 0, appended_ms: int = NOW_MS, **fields: Any
) -> Item[BroadcastRequest]:
    value = {"type": "promotion", **fields}
    if "user_ids" not in fields:
        value.setdefault("audience", "all")
    request = BroadcastRequest.model_validate_json(msgspec.json.encode(value))
    return Item(request, "broadcasts.requested", 0, offset, appended_ms)


async def accept(state: MemoryState, *items: Item[BroadcastRequest]) -> Driven:
    return await drive(AcceptBroadcast(terms=terms()), BatchOf(items, NOW_MS, state))


def commands(done: Driven) -> list[tuple[int, AcceptedBroadcast]]:
    return [
        (record.partition, decode_accepted(record.value))
        for record in done.records_of(BROADCASTS_ACCEPTED)
        if record.value
    ]


async def test_every_partition_is_told_once_to_expand_its_own_members() -> None:
    done = await accept(MemoryState(), broadcast(max_per_second=100))

    told_to = commands(done)
    assert [partition for partition, _ in told_to] == list(range(PARTITIONS))
    assert {each.audience for _, each in told_to} == {"all"}
    assert sum(each.per_second for _, each in told_to) == 100


async def test_named_users_are_grouped_by_their_partition() -> None:
    users = [f"user-{n}" for n in range(100)]

    done = await accept(MemoryState(), broadcast(user_ids=users, max_per_second=10))

    for partition, each in commands(done):
        assert {partition_of(user_id, PARTITIONS) for user_id in each.user_ids} == {partition}
    assert sorted(user for _, each in commands(done) for user in each.user_ids) == sorted(users)
    assert sum(each.per_second for _, each in commands(done)) == pytest.approx(10)


async def test_a_long_list_of_one_partition_comes_in_several_commands() -> None:
    users = [u for u in (f"user-{n}" for n in range(9000)) if partition_of(u, PARTITIONS) == 2]

    done = await accept(MemoryState(), broadcast(user_ids=users))

    assert [(partition, each.part) for partition, each in commands(done)] == [
        (2, part) for part in range(-(-len(users) // 1000))
    ]


async def test_a_broadcast_travels_in_the_bulk_lane_whatever_its_type() -> None:
    done = await accept(MemoryState(), broadcast(type="login_code", priority="critical"))

    assert {each.lane for _, each in commands(done)} == {"bulk"}


@pytest.mark.parametrize(
    ("second", "status", "reason"),
    [({}, "duplicate", ""), ({"data": {"a": 1}}, "rejected", "idempotency_conflict")],
)
async def test_a_broadcast_submitted_again_is_not_sent_again(
    second: dict[str, Any], status: str, reason: str
) -> None:
    state = MemoryState()
    await accept(state, broadcast(idempotency_key="spring"))

    done = await accept(state, broadcast(idempotency_key="spring", offset=1, **second))

    assert commands(done) == []
    (receipt,) = receipts(done.records)
    assert (receipt.kind, receipt.status, receipt.reason) == ("request", status, reason)
    assert receipt.broadcast_id


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"type": "unheard_of"}, "unknown_type"), ({"channels": ["sms"]}, "channel_not_in_type")],
)
async def test_a_broadcast_that_cannot_be_is_refused(fields: dict[str, Any], reason: str) -> None:
    done = await accept(MemoryState(), broadcast(**fields))

    assert commands(done) == []
    assert [each.reason for each in receipts(done.records)] == [reason]
