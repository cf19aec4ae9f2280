"""What waited and came due: looked at again with what is known by then."""

from collections.abc import Callable, Mapping

import msgspec
import pytest

from agents.decide import request_id_of
from agents.stage import Item
from agents.wake import Wake
from policies.stops import HORIZON_MS
from schemas.delivery import Body, Channel
from schemas.ids import delivery_id, member_notification_id, partition_of
from schemas.instants import rfc3339
from schemas.profile import Profile
from tables import bodies, broadcasts, recipients, waiting
from tables.state import Kind
from tables.waiting import SCHEDULE, ForgetBody, Waiter, Waiting, decode_due
from tests.doubles import BatchOf, Driven, MemoryState, apply, drive
from tests.unit.agents.decide_side import (
    DAY,
    HOUR,
    MINUTE,
    NONE,
    NOW_MS,
    address,
    batches,
    decide,
    profile,
    receipts,
    request,
    state_with,
    terms,
    told,
)

ANN = partition_of("ann", 4).to_bytes(4, "big") + b"-notice-12-b"


def body(*, type_name: str = "promotion", broadcast_id: bytes = b"", life_ms: int = DAY) -> Body:
    return Body(
        type_name, "marketing", {"percent": 20}, NOW_MS + life_ms,
        broadcast_id=broadcast_id, accepted_ms=NOW_MS - HOUR,
    )  # fmt: skip


def put_off(
    state: MemoryState,
    *,
    channel: Channel = "email",
    is_counted: bool = True,
    about: Body | None = None,
) -> None:
    row = Waiting("bulk", channel, [Waiter("ann", ANN)], is_counted, body=about or body())
    state.apply([waiting.put(NOW_MS, ANN, row)])


async def wake(
    state: MemoryState, now_ms: int = NOW_MS, cancelled: Mapping[bytes, int] = NONE
) -> Driven:
    items = [Item(decode_due(v), row_key=k) for k, v in SCHEDULE.due(state, now_ms, 100)]
    return await drive(Wake(terms=terms(cancelled=cancelled)), BatchOf(items, now_ms, state))


async def test_a_deferred_delivery_goes_out_with_the_address_of_that_moment() -> None:
    state = state_with(ann=profile(email=address("email", "new@example.com")))
    put_off(state)

    done = await wake(state)

    ((record, batch),) = batches(done.records)
    assert record.topic == "deliveries.email.bulk"
    assert (batch.targets[0].address, batch.released_ms) == ("new@example.com", NOW_MS)
    assert batch.targets[0].delivery_id == delivery_id(ANN, "email", NOW_MS - HOUR)
    assert told(done.records) == [("email", "queued", "")]
    assert SCHEDULE.next_due_ms(state) is None


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (profile(on={"email": False}), ("email", "suppressed", "opted_out_channel")),
        (profile(suppressed="email"), ("email", "suppressed", "suppressed_address")),
        (profile(email=None), ("email", "suppressed", "address_gone")),
        (profile(quiet="12:00-15:00"), ("email", "deferred", "quiet_hours")),
    ],
)
async def test_what_changed_while_it_waited_counts(
    known: Profile, expected: tuple[str, str, str]
) -> None:
    state = state_with(ann=known)
    put_off(state)

    done = await wake(state)

    assert told(done.records) == [expected]
    assert batches(done.records) == []


async def test_a_cancelled_or_expired_delivery_is_settled() -> None:
    for cancelled, life_ms, expected in (({ANN: NOW_MS}, DAY, "cancelled"), ({}, 0, "expired")):
        state = state_with(ann=profile())
        put_off(state, about=body(life_ms=life_ms))

        done = await wake(state, cancelled=cancelled)

        assert [status for _, status, _ in told(done.records)] == [expected]


async def asked_for(state: MemoryState, *, in_days: int) -> bytes:
    """Its id."""
    item = request(send_at=rfc3339(NOW_MS + in_days * DAY), ttl_seconds=30 * 86_400)
    done = await decide(state, item)
    assert told(done.records) == [("email", "deferred", "scheduled")]
    return request_id_of(item)


async def test_what_is_called_off_two_weeks_ahead_hears_of_it_before_anybody_forgets() -> None:
    state = state_with(ann=profile())
    notification_id = await asked_for(state, in_days=14)
    look_ms = SCHEDULE.next_due_ms(state) or 0
    assert NOW_MS < look_ms < NOW_MS + HORIZON_MS

    done = await wake(state, look_ms, {notification_id: NOW_MS + HOUR})

    assert told(done.records) == [("email", "cancelled", "cancelled")]
    assert SCHEDULE.next_due_ms(state) is None


async def test_what_waits_for_two_weeks_is_told_so_once_and_goes_out_when_it_is_due() -> None:
    state = state_with(ann=profile())
    await asked_for(state, in_days=14)
    due_ms, heard = NOW_MS, list[tuple[str, str, str]]()

    while (next_ms := SCHEDULE.next_due_ms(state)) is not None:
        assert 0 < next_ms - due_ms < HORIZON_MS
        due_ms = next_ms
        heard += told((await wake(state, due_ms)).records)

    assert heard == [("email", "queued", "")]
    assert due_ms == NOW_MS + 14 * DAY


async def test_of_many_who_wait_on_one_may_be_called_off() -> None:
    bob = partition_of("bob", 4).to_bytes(4, "big") + b"-notice-13-b"
    state = state_with(ann=profile(), bob=profile())
    row = Waiting(
        "bulk", "email", [Waiter("ann", ANN), Waiter("bob", bob)], is_counted=True,
        body=body(life_ms=30 * DAY), until_ms=NOW_MS + DAY,
    )  # fmt: skip
    state.apply([waiting.put(NOW_MS, ANN, row)])

    done = await wake(state, cancelled={ANN: NOW_MS})

    assert told(done.records) == [("email", "cancelled", "cancelled")]
    ((key, value),) = SCHEDULE.due(state, NOW_MS + DAY, 10)
    left = decode_due(value)
    assert isinstance(left, Waiting)
    assert (left.waiters, left.is_counted) == ([Waiter("bob", bob)], True)
    assert SCHEDULE.due_ms_of(key) == NOW_MS + DAY


async def test_what_was_counted_is_not_counted_again_and_what_was_not_is() -> None:
    for is_counted, rows in ((True, 0), (False, 1)):
        state = state_with(ann=profile())
        put_off(state, is_counted=is_counted)

        await wake(state)

        assert state.count(Kind.TRANSIENT, b"c") == rows


async def test_a_fallback_that_waited_goes_on() -> None:
    state = state_with(ann=profile())
    put_off(state, channel="sms", is_counted=False, about=body(type_name="order_confirmed"))

    done = await wake(state)

    assert told(done.records) == [("sms", "queued", "")]


async def test_inline_addresses_are_still_there() -> None:
    state = MemoryState()
    inline = Profile(email=address("email", "new@example.com"))
    put_off(state, about=msgspec.structs.replace(body(), inline=inline))

    # Marketing e-mail is on by default in these rules, so that an unknown user gets it.
    done = await wake(state)

    assert [batch.targets[0].address for _, batch in batches(done.records)] == ["new@example.com"]


def waiting_slice(count: int, known: Callable[[int], Profile]) -> MemoryState:
    broadcast_id = bytes(16)
    about = body(broadcast_id=broadcast_id)
    state = MemoryState(1, [bodies.put(about)])
    waiters = []
    for number in range(count):
        user_id = f"user-{number}"
        state.apply([recipients.put(user_id, known(number))])
        waiters.append(Waiter(user_id, member_notification_id(broadcast_id, user_id, 1)))
    row = Waiting("bulk", "email", waiters, True, body_id=bodies.id_of(about))
    state.apply([waiting.put(NOW_MS, b"slice", row)])
    return state


async def test_a_slice_that_waited_is_a_slice_again() -> None:
    state = waiting_slice(20, lambda number: profile())

    done = await wake(state)

    ((_, batch),) = batches(done.records)
    assert (len(batch.bodies), len(batch.targets)) == (1, 20)
    assert batch.slice_id != b""


async def test_those_of_a_slice_who_wait_on_are_one_row_again() -> None:
    quiet, later = profile(quiet="12:00-15:00"), profile(quiet="12:00-14:00")
    state = waiting_slice(6, lambda number: (profile(), quiet, later)[number % 3])

    await wake(state)

    rows = SCHEDULE.due(state, NOW_MS + DAY, 10)
    assert [SCHEDULE.due_ms_of(key) for key, _ in rows] == [NOW_MS + HOUR, NOW_MS + 2 * HOUR]
    held = [decode_due(value) for _, value in rows]
    assert [len(each.waiters) for each in held if isinstance(each, Waiting)] == [2, 2]


async def test_who_waits_on_refers_to_a_body_of_an_earlier_version_where_it_is() -> None:
    """Which kept it by the broadcast's id alone."""
    about = body(broadcast_id=b"b" * 16)
    row = Waiting("bulk", "email", [Waiter("ann", ANN)], True, body_id=about.broadcast_id)
    state = MemoryState(
        rows=[
            msgspec.structs.replace(bodies.put(about), key=bodies.PREFIX + about.broadcast_id),
            recipients.put("ann", profile(quiet="12:00-14:00")),
            waiting.put(NOW_MS, b"row", row),
        ]
    )

    await wake(state)

    ((_, value),) = SCHEDULE.due(state, NOW_MS + DAY, 10)
    assert decode_due(value) == msgspec.structs.replace(row, until_ms=NOW_MS + HOUR)


async def test_the_one_of_a_slice_who_raises_is_settled_alone() -> None:
    state = waiting_slice(3, lambda number: profile())
    stage = Wake(terms=terms())

    ((key, value),) = SCHEDULE.due(state, NOW_MS, 10)
    item = Item(decode_due(value), row_key=key)
    effects = stage.give_up(BatchOf([item], NOW_MS, state), item, "ValueError")
    assert list(effects.done) == [item], "it goes on, so it is no dead letter"
    apply(state, effects)

    alone = [Item(decode_due(v), row_key=k) for k, v in SCHEDULE.due(state, NOW_MS + MINUTE, 10)]
    assert len(alone) == 3
    effects = stage.give_up(BatchOf(alone, NOW_MS, state), alone[0], "ValueError")
    assert [(each.status, each.reason) for each in receipts(list(effects.records))] == [
        ("failed", "stage_error")
    ]


async def test_a_body_is_kept_while_its_fan_out_has_members_left_and_then_forgotten() -> None:
    about = body(broadcast_id=b"b" * 16)
    body_id = bodies.id_of(about)
    progress = broadcasts.Progress(body_id, 0, "bulk", ("email",), "everyone")
    left = broadcasts.put(NOW_MS, progress)
    state = MemoryState(
        rows=[
            bodies.put(about),
            left,
            waiting.put(NOW_MS, body_id, ForgetBody(body_id)),
        ]
    )

    await wake(state)
    assert body_id in bodies.get_many(state, [body_id])

    state.apply([broadcasts.PROGRESS.delete(left.key)])
    await wake(state, NOW_MS + HOUR)
    assert bodies.get_many(state, [body_id]) == {}
    assert SCHEDULE.next_due_ms(state) is None
