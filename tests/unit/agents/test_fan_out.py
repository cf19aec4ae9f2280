"""Broadcasts: expanded in every partition a slice a turn."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from agents.fan_out import MEMBERS_A_SHORT_TURN, MEMBERS_A_TURN, FanOut, StartBroadcast
from agents.stage import Item
from agents.wake import Wake
from policies.stops import HORIZON_MS
from schemas.broadcast import AcceptedBroadcast
from schemas.delivery import Body
from schemas.profile import Choice, Profile
from schemas.topics import BROADCASTS_ACCEPTED
from tables import bodies, broadcasts, memberships, recipients
from tables.broadcasts import PROGRESS, Progress, decode_progress
from tables.state import Kind
from tables.waiting import SCHEDULE, Waiting, decode_due
from tests.doubles import BatchOf, Driven, MemoryState, apply, drive
from tests.unit.agents.decide_side import (
    DAY,
    HOUR,
    MINUTE,
    NONE,
    NOW_MS,
    SECOND,
    batches,
    profile,
    receipts,
    terms,
    told,
)

BROADCAST = bytes(range(16))


def body(**fields: Any) -> Body:
    given: dict[str, Any] = {
        "type": "promotion", "category": "marketing", "data": {}, "expires_ms": NOW_MS + DAY,
        "broadcast_id": BROADCAST, "accepted_ms": NOW_MS,
    }  # fmt: skip
    return Body(**(given | fields))


def members(count: int, known: Callable[[int], Profile] = lambda number: profile()) -> MemoryState:
    """A state with an audience `all` of so many."""
    state = MemoryState(1)
    for number in range(count):
        user_id = f"user-{number:05d}"
        joined = Choice(True, "user", 1)
        state.apply(
            [
                memberships.put(memberships.key_of("all", user_id), joined),
                recipients.put(user_id, known(number)),
            ]
        )
    return state


async def start(state: MemoryState, command: AcceptedBroadcast) -> Driven:
    item = Item(command, BROADCASTS_ACCEPTED, state.partition, 0, NOW_MS)
    return await drive(StartBroadcast(terms=terms()), BatchOf([item], NOW_MS, state))


def due(state: MemoryState, now_ms: int = NOW_MS) -> list[Item[Progress]]:
    return [
        Item(decode_progress(value), row_key=key) for key, value in PROGRESS.due(state, now_ms, 10)
    ]


async def turn(
    state: MemoryState,
    now_ms: int = NOW_MS,
    *,
    cancelled: Mapping[bytes, int] = NONE,
    is_paused: Callable[[Body], bool] = lambda body: False,
    is_short: bool = False,
) -> Driven:
    stage = FanOut(terms=terms(cancelled=cancelled), is_paused=is_paused)
    return await drive(stage, BatchOf(due(state, now_ms), now_ms, state, is_short=is_short))


def command(**fields: Any) -> AcceptedBroadcast:
    given: dict[str, Any] = {
        "body": body(), "lane": "bulk", "channels": ("email",), "starts_ms": NOW_MS, "audience": "all"
    }  # fmt: skip
    return AcceptedBroadcast(**(given | fields))


# Starting.


@pytest.mark.parametrize("later_ms", [5, 0, -5], ids=["in order", "one instant", "overtaken"])
async def test_a_broadcast_that_came_by_two_partitions_at_once_starts_once(later_ms: int) -> None:
    state = members(3)

    await start(state, command(body=body(accepted_ms=NOW_MS)))
    await start(state, command(body=body(accepted_ms=NOW_MS + later_ms)))

    assert len(due(state)) == 1


async def test_each_part_of_a_long_list_starts() -> None:
    state = members(3)

    for part in range(2):
        await start(state, command(audience="", user_ids=[f"user{part}"], part=part))

    assert len(due(state)) == 2


# Expanding.


async def test_a_slice_a_turn_reaches_every_member_once() -> None:
    state = members(MEMBERS_A_TURN + 200)
    await start(state, command())

    first = await turn(state)
    second = await turn(state)

    reached = [each.user_id for done in (first, second) for each in receipts(done.records)]
    assert reached == [f"user-{number:05d}" for number in range(MEMBERS_A_TURN + 200)]
    assert due(state) == []
    (one,), (two,) = batches(first.records), batches(second.records)
    assert (one[0].topic, one[0].partition) == ("deliveries.email.bulk", 1)
    assert (len(one[1].bodies), len(one[1].targets)) == (1, MEMBERS_A_TURN)
    assert b"" != one[1].slice_id != two[1].slice_id != b""


async def test_a_turn_is_short_beside_what_is_urgent() -> None:
    state = members(MEMBERS_A_SHORT_TURN + 1)
    await start(state, command())

    assert len(receipts((await turn(state, is_short=True)).records)) == MEMBERS_A_SHORT_TURN
    assert len(receipts((await turn(state, is_short=True)).records)) == 1
    assert due(state) == []


async def test_a_turn_that_was_lost_comes_out_the_same_again() -> None:
    state = members(10)
    await start(state, command())
    stage = FanOut(terms=terms(), is_paused=lambda body: False)

    lost = await drive(stage, BatchOf(due(state), NOW_MS, MemoryStateView(state)))
    again = await turn(state)

    assert lost.records == again.records


async def test_preferences_and_caps_are_those_of_single_requests() -> None:
    kinds = [
        profile(), profile(on={"email": False}), profile(suppressed="email"), profile(email=None),
        profile(quiet="12:00-15:00"),
    ]  # fmt: skip
    state = members(5, lambda number: kinds[number])
    for number in range(3):
        await start(state, command(body=body(broadcast_id=bytes([number]) * 16)))

    done = await turn(state)

    assert told(done.records)[:5] == [
        ("email", "queued", ""),
        ("email", "suppressed", "opted_out_channel"),
        ("email", "suppressed", "suppressed_address"),
        ("email", "rejected", "no_address"),
        ("email", "deferred", "quiet_hours"),
    ]
    assert told(done.records)[10:11] == [("email", "suppressed", "daily_limit")]


async def test_members_who_wait_for_the_same_instant_are_one_row_without_the_body() -> None:
    state = members(50, lambda number: profile(quiet="12:00-15:00"))
    await start(state, command(body=body(data={"text": "x" * 1000})))

    await turn(state)

    rows = SCHEDULE.due(state, NOW_MS + HOUR * 3, 10)
    ((key, value),) = [row for row in rows if isinstance(decode_due(row[1]), Waiting)]
    assert SCHEDULE.due_ms_of(key) == NOW_MS + 2 * HOUR
    assert len(value) < 50 * 40
    assert state.count(Kind.DURABLE, bodies.PREFIX) == 1


async def test_a_body_is_kept_until_nothing_of_its_broadcast_can_be_alive() -> None:
    state = members(1)
    await start(state, command())
    await turn(state)

    late = NOW_MS + 2 * DAY
    rows = [Item(decode_due(value), row_key=key) for key, value in SCHEDULE.due(state, late, 10)]
    assert state.count(Kind.DURABLE, bodies.PREFIX) == 1
    await drive(Wake(terms=terms()), BatchOf(rows, late, state))

    assert state.count(Kind.DURABLE, bodies.PREFIX) == 0
    assert SCHEDULE.next_due_ms(state) is None


async def test_a_key_used_again_leaves_what_the_first_tells_as_it_is() -> None:
    state = members(1)
    later_ms = NOW_MS + 2 * DAY
    first = body(data={"text": "first"}, expires_ms=NOW_MS + 9 * DAY)
    second = body(data={"text": "second"}, expires_ms=NOW_MS + 9 * DAY, accepted_ms=later_ms)
    await start(state, command(body=first, starts_ms=later_ms))
    await start(state, command(body=second, starts_ms=later_ms))

    done = await turn(state, later_ms)

    sent = [batch for _, batch in batches(done.records)]
    assert {body.data["text"] for batch in sent for body in batch.bodies} == {"first", "second"}
    assert len({batch.targets[0].delivery_id for batch in sent}) == 2


async def test_someone_deleted_since_joining_is_a_member_no_more() -> None:
    state = members(2, lambda number: Profile(deleted_ms=5) if number else profile())
    await start(state, command())

    done = await turn(state)

    assert [each.user_id for each in receipts(done.records)] == ["user-00000"]


async def test_named_users_need_not_be_known() -> None:
    state = MemoryState(1)
    await start(state, command(audience="", user_ids=["nobody"]))

    done = await turn(state)

    assert told(done.records) == [("email", "rejected", "no_address")]


async def test_several_channels_take_smaller_slices() -> None:
    state = members(600)
    channels = ("push", "email", "sms", "in_app")
    await start(state, command(channels=channels, body=body(type="everywhere")))

    done = await turn(state)

    assert len(receipts(done.records)) == MEMBERS_A_TURN
    assert {batch.channel for _, batch in batches(done.records)} == set(channels)


async def test_several_broadcasts_take_turns() -> None:
    state = members(MEMBERS_A_TURN * 2)
    for number in range(2):
        await start(state, command(body=body(broadcast_id=bytes([number]) * 16)))

    done = await turn(state)

    assert [len(effects.done) for effects in done.effects] == [1, 1]
    assert len({each.broadcast_id for each in receipts(done.records)}) == 2


# Pace, pause, cancellation, expiry.


async def test_a_paced_broadcast_keeps_its_rate() -> None:
    state = members(25)
    await start(state, command(per_second=10.0))

    reached = []
    for second in range(4):
        done = await turn(state, NOW_MS + second * SECOND)
        reached.append(len(receipts(done.records)))

    assert reached == [10, 10, 5, 0]


async def test_a_pace_of_less_than_one_a_second_waits_longer() -> None:
    state = members(2)
    await start(state, command(per_second=0.5))

    await turn(state)

    assert PROGRESS.next_due_ms(state) == NOW_MS + 2 * SECOND


async def test_a_broadcast_may_start_later() -> None:
    state = members(1)

    await start(state, command(starts_ms=NOW_MS + MINUTE))

    assert PROGRESS.next_due_ms(state) == NOW_MS + MINUTE


@pytest.mark.parametrize("cancelled", [NONE, {BROADCAST: NOW_MS + HOUR}])
async def test_a_broadcast_in_two_weeks_hears_that_it_is_called_off_before_anybody_forgets(
    cancelled: Mapping[bytes, int],
) -> None:
    state, start_ms = members(1), NOW_MS + 14 * DAY
    await start(state, command(body=body(expires_ms=start_ms + DAY), starts_ms=start_ms))

    now_ms, heard = NOW_MS, list[tuple[int, str]]()
    while (due_ms := PROGRESS.next_due_ms(state)) is not None:
        assert due_ms < now_ms + HORIZON_MS
        now_ms = due_ms
        done = await turn(state, now_ms, cancelled=cancelled)
        heard += [(now_ms, status) for _, status, _ in told(done.records)]

    assert heard == ([] if cancelled else [(start_ms, "queued")])


async def test_a_cancelled_broadcast_stops() -> None:
    state = members(MEMBERS_A_TURN + 1)
    await start(state, command())
    await turn(state)

    done = await turn(state, cancelled={BROADCAST: NOW_MS})

    assert done.records == []
    assert PROGRESS.next_due_ms(state) is None


async def test_a_cancellation_of_an_earlier_broadcast_with_its_key_stops_nobody() -> None:
    state = members(1)
    await start(state, command())

    done = await turn(state, cancelled={BROADCAST: NOW_MS - DAY})

    assert told(done.records) == [("email", "queued", "")]


async def test_a_paused_broadcast_asks_again_and_loses_nobody() -> None:
    state = members(3)
    await start(state, command())

    done = await turn(state, is_paused=lambda body: body.type == "promotion")
    assert done.records == []

    done = await turn(state, NOW_MS + SECOND)
    assert len(receipts(done.records)) == 3


async def test_members_not_reached_before_the_expiry_are_told_of() -> None:
    state = members(30)
    await start(state, command(per_second=1.0))

    done = await turn(state, NOW_MS + 2 * DAY)

    assert told(done.records) == [("email", "expired", "ttl")] * 30


# Errors of ours.


async def test_a_member_who_makes_a_turn_raise_is_passed_over_alone() -> None:
    state = members(5)
    await start(state, command())
    stage = FanOut(terms=terms(), is_paused=lambda body: False)

    (item,) = due(state)
    batch = BatchOf([item], NOW_MS, state)
    effects = stage.give_up(batch, item, "ValueError")
    assert list(effects.done) == [item], "it goes on, so it is no dead letter"
    apply(state, effects)
    assert told(list(effects.records)) == []

    first = await turn(state)
    assert [each.user_id for each in receipts(first.records)] == ["user-00000"]

    (item,) = due(state)
    effects = stage.give_up(BatchOf([item], NOW_MS, state), item, "ValueError")
    effects.done = [item]
    apply(state, effects)
    assert [(each.user_id, each.reason) for each in receipts(list(effects.records))] == [
        ("user-00001", "stage_error")
    ]

    third = await turn(state)
    assert [each.user_id for each in receipts(third.records)] == ["user-00002"]


class MemoryStateView(MemoryState):
    """Reads another state and keeps what is applied to itself: a transaction that is lost."""

    def __init__(self, other: MemoryState) -> None:
        super().__init__(other.partition)
        self._other = other

    def get(self, kind: Kind, key: bytes) -> bytes | None:
        return self._other.get(kind, key)

    def get_many(self, kind: Kind, keys: Any) -> list[bytes | None]:
        return self._other.get_many(kind, keys)

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return self._other.scan(kind, start, end, limit)


def test_the_place_of_a_broadcast_is_bound_to_its_command() -> None:
    one, other = (
        broadcasts.put(NOW_MS, Progress(BROADCAST, part, "bulk", ("email",))) for part in (0, 1)
    )

    assert one.key != other.key
