"""A delivery that failed for good goes on by the next channel, once."""

import msgspec

from agents.reconsider import Reconsider
from agents.stage import Item
from policies.rules import Category, NotificationType, Rules
from schemas.delivery import Body, Channel, Returned, Target, decode_returned
from schemas.ids import delivery_id
from schemas.profile import Profile
from schemas.topics import DELIVERIES_RETURNED
from tables.expiry import expires_ms_of
from tables.state import Kind, Row
from tables.waiting import SCHEDULE, Waiting, decode_due
from tests.doubles import BatchOf, Driven, MemoryState, drive
from tests.unit.agents.decide_side import (
    DAY,
    HOUR,
    NOW_MS,
    address,
    batches,
    profile,
    receipts,
    state_with,
    terms,
    told,
)

NOTICE = bytes(4) + b"-notice-12-b"


def returned(
    channel: Channel = "push",
    fallback: tuple[Channel, ...] = ("sms", "in_app"),
    *,
    users: tuple[str, ...] = ("ann",),
    devices: int = 1,
    life_ms: int = DAY,
    broadcast_id: bytes = b"",
) -> Item[Returned]:
    body = Body(
        "order_confirmed", "transactional", {}, NOW_MS + life_ms,
        broadcast_id=broadcast_id, fallback=fallback, accepted_ms=NOW_MS - HOUR,
    )  # fmt: skip
    targets = [
        Target(
            user_id, NOTICE, delivery_id(NOTICE, channel, NOW_MS - HOUR), "token",
            device_id=f"device-{device}",
        )
        for user_id in users
        for device in range(devices)
    ]  # fmt: skip
    return Item(Returned(channel, "normal", "attempts_exhausted", [body], targets))


async def reconsider(
    state: MemoryState, *items: Item[Returned], now_ms: int = NOW_MS, rules: Rules | None = None
) -> Driven:
    stage = Reconsider(terms=terms(rules=rules) if rules else terms())
    return await drive(stage, BatchOf(items, now_ms, state))


async def test_the_next_channel_goes_on_under_the_same_notification() -> None:
    done = await reconsider(state_with(ann=profile()), returned())

    ((record, batch),) = batches(done.records)
    assert record.topic == "deliveries.sms.normal"
    (target,) = batch.targets
    assert (target.notification_id, target.address) == (NOTICE, "+15550100123")
    assert batch.body_of(target).fallback == ("in_app",)
    assert told(done.records) == [("sms", "queued", "")]


async def test_preferences_are_asked_again_and_a_refused_channel_is_passed_over() -> None:
    done = await reconsider(state_with(ann=profile(on={"sms": False})), returned())

    ((_, batch),) = batches(done.records)
    assert batch.channel == "in_app"
    assert batch.bodies[0].fallback == ()
    assert told(done.records) == [
        ("sms", "suppressed", "opted_out_channel"), ("in_app", "queued", ""),
    ]  # fmt: skip


async def test_when_no_channel_is_left_every_refusal_is_told() -> None:
    known = profile(on={"sms": False, "in_app": False})

    done = await reconsider(state_with(ann=known), returned())

    assert batches(done.records) == []
    assert [status for _, status, _ in told(done.records)] == ["suppressed", "suppressed"]


async def test_two_failed_channels_of_one_notification_go_on_once() -> None:
    state = state_with(ann=profile())

    first = await reconsider(state, returned("push"), returned("email"))
    second = await reconsider(state, returned("email"))

    assert told(first.records) == [("sms", "queued", "")]
    assert second.records == []


async def test_a_second_failure_that_is_read_when_all_is_long_over_changes_nothing() -> None:
    state = state_with(ann=profile())
    first = await reconsider(state, returned("push", life_ms=HOUR))
    much_later_ms = NOW_MS + 7 * DAY
    swept = [
        Row(row.kind, row.key, None)
        for row in first.rows
        if row.kind is Kind.TRANSIENT and row.value and expires_ms_of(row.value) <= much_later_ms
    ]
    state.apply(swept)

    second = await reconsider(state, returned("email", life_ms=HOUR), now_ms=much_later_ms)

    assert told(first.records) == [("sms", "queued", "")]
    assert second.records == [], "the SMS has had its end"


async def test_an_address_that_came_with_the_request_is_gone_on_with() -> None:
    failed = returned("push", ("sms",)).value
    inline = Profile(phone=address("sms", "+15550100199"))
    bodies = [msgspec.structs.replace(failed.bodies[0], inline=inline)]

    done = await reconsider(MemoryState(), Item(msgspec.structs.replace(failed, bodies=bodies)))

    ((_, batch),) = batches(done.records)
    assert batch.targets[0].address == "+15550100199"
    assert told(done.records) == [("sms", "queued", "")]


async def test_the_fallback_of_a_fallback_goes_on_too() -> None:
    state = state_with(ann=profile())
    await reconsider(state, returned("push"))

    done = await reconsider(state, returned("sms", ("in_app",)))

    assert told(done.records) == [("in_app", "queued", "")]


async def test_devices_of_one_delivery_go_on_once() -> None:
    done = await reconsider(state_with(ann=profile()), returned(devices=3))

    assert told(done.records) == [("sms", "queued", "")]


async def test_a_fallback_meets_the_caps_and_counts() -> None:
    news = Category("news", daily_limit={"sms": 1})
    kind = NotificationType("order_confirmed", news, ("push",), ("sms",))
    state = state_with(ann=profile())
    rules = Rules({kind.name: kind})

    first = await reconsider(state, returned(fallback=("sms",)), rules=rules)
    other = msgspec.structs.replace(returned(fallback=("sms",)).value, targets=[
        Target("ann", b"another-notice--", b"another-delivery", "token")
    ])  # fmt: skip
    second = await reconsider(state, Item(other), rules=rules)

    assert told(first.records) == [("sms", "queued", "")]
    assert told(second.records) == [("sms", "suppressed", "daily_limit")]


async def test_what_expired_meanwhile_is_settled() -> None:
    done = await reconsider(state_with(ann=profile()), returned(life_ms=0))

    assert told(done.records) == [("sms", "expired", "ttl"), ("in_app", "expired", "ttl")]


async def test_a_fallback_that_must_wait_keeps_what_is_left_of_the_list() -> None:
    state = state_with(ann=profile(quiet="12:00-15:00"))

    done = await reconsider(state, returned(broadcast_id=bytes(16)))

    assert told(done.records) == [("sms", "deferred", "quiet_hours")]
    ((_, value),) = SCHEDULE.due(state, NOW_MS + DAY, 10)
    row = decode_due(value)
    assert isinstance(row, Waiting)
    assert row.body is not None
    assert (row.channel, row.body.fallback) == ("sms", ("in_app",))


async def test_recipients_of_a_slice_go_on_as_a_slice() -> None:
    users = ("ann", "bob", "cid")
    state = state_with(ann=profile(), bob=profile(), cid=Profile())
    item = returned(fallback=("in_app",), users=users, broadcast_id=bytes(16))
    item = Item(
        Returned(
            "push", "bulk", "attempts_exhausted", item.value.bodies,
            [
                Target(user, bytes([n]) * 16, bytes([n]) * 16, "t")
                for n, user in enumerate(users)
            ],
        )
    )  # fmt: skip

    done = await reconsider(state, item)

    ((_, batch),) = batches(done.records)
    assert (len(batch.bodies), len(batch.targets)) == (1, 3)
    assert batch.slice_id != b""


async def test_a_return_that_raises_is_told_of() -> None:
    item = returned()

    effects = Reconsider(terms=terms()).give_up(
        BatchOf([item], NOW_MS, MemoryState()), item, "ValueError"
    )

    assert [
        (each.channel, each.status, each.reason) for each in receipts(list(effects.records))
    ] == [("sms", "failed", "stage_error")]


async def test_deliveries_of_a_return_that_raises_are_tried_again_in_halves() -> None:
    item = returned(users=("ann", "bob", "cid"))
    state = MemoryState(1)

    owed = Reconsider(terms=terms()).give_up(BatchOf([item], NOW_MS, state), item, "ValueError")

    assert list(owed.done) == [item], "it goes on, so it is no dead letter"
    assert {(each.topic, each.partition) for each in owed.records} == {(DELIVERIES_RETURNED, 1)}
    parts = [decode_returned(each.value or b"") for each in owed.records]
    assert [t.user_id for part in parts for t in part.targets] == ["ann", "bob", "cid"]
