"""What an operator's pause holds, and how it comes back."""

import msgspec

from agents.release import Release
from agents.stage import Item
from schemas.delivery import decode_batch
from tables import parked
from tables.state import Kind
from tests.doubles import BatchOf, Driven, drive
from tests.unit.agents.desk import NOW_MS, Desk, batch_of, body_of

WEEK_MS = 7 * 86_400_000


async def release(desk: Desk) -> Driven:
    stage = Release(stops=desk.stops)
    now_ms = desk.clock.now_ms()
    rows = stage.due(desk.state, now_ms, 100)
    items = [Item(decode_batch(value), row_key=key) for key, value in rows]
    return await drive(stage, BatchOf(items, now_ms, desk.state))


async def test_what_was_paused_goes_out_after_the_resume_as_the_same_attempt(desk: Desk) -> None:
    desk.stops.note_control("type", "news", is_paused=True)
    desk.put(batch_of("ann", "bob"), batch_of("cat", body=body_of("code")))
    await desk.turn()
    desk.clock.advance(ms=3_600_000)
    desk.start()  # the process is another one by now
    await release(desk)
    assert desk.sender.addresses() == ["cat"], "still paused"

    desk.stops.note_control("type", "news", is_paused=False)
    await release(desk)
    await desk.settle()

    assert desk.sender.addresses() == ["cat", "ann", "bob"]
    assert [(r.user_id, r.status, r.attempt) for r in desk.receipts()][-2:] == [
        ("ann", "sent", 1), ("bob", "sent", 1)
    ]  # fmt: skip
    assert desk.state.count(Kind.DURABLE) == 0


async def test_a_pause_that_outlasts_the_memory_of_stops_lets_nothing_through(desk: Desk) -> None:
    desk.stops.note_control("type", "news", is_paused=True)
    desk.put(batch_of("ann", body=body_of(ttl_ms=5 * WEEK_MS)))
    await desk.turn()
    desk.stops.note_control("type", "news", is_paused=False)
    desk.clock.advance(ms=WEEK_MS)

    await release(desk)
    await desk.turn()

    assert desk.sender.calls == []
    assert [r.reason for r in desk.receipts()] == ["paused", "too_old"]


async def test_one_control_that_still_holds_does_not_hide_another_that_is_over(desk: Desk) -> None:
    for type_name in ("code", "letter", "news"):
        desk.stops.note_control("type", type_name, is_paused=True)
        desk.put(batch_of(type_name, body=body_of(type_name)))
    await desk.turn()

    desk.stops.note_control("type", "letter", is_paused=False)
    await release(desk)
    await desk.turn()

    assert desk.sender.addresses() == ["letter"]
    held = parked.released(desk.state, lambda control: False, 10)
    assert [parked.control_of(key) for key, _ in held] == ["type:code", "type:news"]


async def test_no_more_is_released_at_once_than_was_asked_for(desk: Desk) -> None:
    desk.stops.note_control("type", "news", is_paused=True)
    desk.put(*(batch_of(f"user{number}") for number in range(5)))
    await desk.turn()

    assert len(parked.released(desk.state, lambda control: False, 3)) == 3
    assert len(Release(stops=desk.stops).due(desk.state, NOW_MS, 3)) == 0


async def test_a_large_release_is_several_transactions(desk: Desk) -> None:
    desk.stops.note_control("type", "news", is_paused=True)
    long_body = msgspec.structs.replace(body_of(), data={"weather": "fine" * 50_000})
    desk.put(*(batch_of(f"user{number}", body=long_body) for number in range(5)))
    await desk.turn()
    desk.stops.note_control("type", "news", is_paused=False)

    driven = await release(desk)

    assert [len(effects.done) for effects in driven.effects] == [3, 2]
    assert len(desk.waiting()) == 5
