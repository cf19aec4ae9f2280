"""What stops a delivery that is with a sender already, or puts it off."""

import msgspec
import pytest

from agents.send import WINDOW_CALLS
from channels.rendering import Rendering
from policies.quiet_hours import DaySpan, written
from policies.stops import HORIZON_MS
from policies.zones import DAY_MS
from schemas.dead_letter import decode_dead_letter
from schemas.outcome import (
    Accepted,
    NotProcessed,
)
from schemas.topics import DEAD_LETTERS
from tables import parked
from tests.unit.agents.desk import (
    NOW_MS,
    Desk,
    batch_of,
    body_of,
    target_of,
)

SLICE = b"slice".rjust(16, b"\x44")
REFUSED = NotProcessed(consumes_attempt=True, reason="unreachable")


async def test_a_stop_settles_without_a_call(desk: Desk) -> None:
    desk.put(batch_of("ann", "bob", slice_id=SLICE))
    desk.opt_out("ann")

    await desk.turn()

    assert desk.sender.addresses() == ["bob"]
    assert desk.told() == [("ann", "suppressed"), ("bob", "sent")]


async def test_a_stop_that_comes_between_intent_and_request_still_stops(
    rendering: Rendering,
) -> None:
    desk = Desk(rendering, max_batch=10)
    desk.put(batch_of("ann", "bob", slice_id=SLICE))
    generator = desk.send.handle(desk.batch())

    desk.apply(await anext(generator))
    desk.opt_out("ann")
    async for effects in generator:
        desk.apply(effects)

    assert desk.sender.addresses() == ["bob"]
    assert desk.told() == [("ann", "suppressed"), ("bob", "sent")]
    assert desk.undone == []


async def test_a_stop_that_comes_during_an_earlier_window_of_calls_still_stops(
    desk: Desk,
) -> None:
    names = [f"user{number}" for number in range(WINDOW_CALLS + 1)]
    desk.put(batch_of(*names, slice_id=SLICE))
    generator = desk.send.handle(desk.batch())

    desk.apply(await anext(generator))  # intents of the first window
    desk.opt_out(names[-1])
    async for effects in generator:
        desk.apply(effects)

    assert desk.sender.addresses() == names[:-1]
    assert desk.told()[-1] == (names[-1], "suppressed")


async def test_an_expiry_that_comes_between_intent_and_request_stops(desk: Desk) -> None:
    desk.put(batch_of("ann", body=body_of(ttl_ms=1000)))
    generator = desk.send.handle(desk.batch())

    desk.apply(await anext(generator))
    desk.clock.advance(ms=1000)
    async for effects in generator:
        desk.apply(effects)

    assert desk.sender.calls == []
    assert desk.told() == [("ann", "expired")]


async def test_what_is_older_than_stops_are_remembered_is_a_replayable_dead_letter(
    desk: Desk,
) -> None:
    desk.put(batch_of("ann", body=body_of(ttl_ms=30 * 86_400_000)))
    desk.clock.advance(ms=HORIZON_MS)

    await desk.turn()

    assert desk.sender.calls == []
    (receipt,) = desk.receipts()
    assert (receipt.status, receipt.reason) == ("expired", "too_old")
    (letter,) = [
        decode_dead_letter(r.value or b"") for r in desk.records if r.topic == DEAD_LETTERS
    ]
    assert letter.replayable


async def test_a_paused_delivery_is_parked_by_its_control_and_nothing_waits_behind(
    desk: Desk,
) -> None:
    desk.put(batch_of("ann", body=body_of("code")), batch_of("bob"))
    desk.stops.note_control("type", "code", is_paused=True)

    await desk.turn()

    assert desk.told() == [("ann", "deferred"), ("bob", "sent")]
    ((key, _),) = parked.released(desk.state, lambda control: False, 10)
    assert parked.control_of(key) == "type:code"
    assert desk.waiting() == []


def quiet_at(now_ms: int, minutes: int = 60) -> str:
    """From the minute that holds `now_ms`, for some minutes."""
    start = now_ms // 60_000 * 60_000 % DAY_MS
    span = DaySpan(start, (start + minutes * 60_000) % DAY_MS)
    return f"UTC - {written(span)}"


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_what_comes_to_a_sender_in_quiet_hours_waits_for_their_end(
    desk: Desk, slice_id: bytes
) -> None:
    asleep = msgspec.structs.replace(target_of("ann"), quiet=quiet_at(NOW_MS))
    desk.put(batch_of("bob", targets=[asleep], slice_id=slice_id))

    await desk.turn()
    assert desk.sender.addresses() == ["bob"]
    receipts = [r for r in desk.receipts() if r.user_id == "ann"]
    assert [(r.status, r.reason) for r in receipts] == [("deferred", "quiet_hours")]

    desk.clock.advance(seconds=3600)
    await desk.turn()
    assert desk.sender.addresses() == ["bob", "ann"]
    (sent,) = [r for r in desk.receipts() if r.user_id == "ann" and r.status == "sent"]
    assert sent.attempt == 1, "waiting costs no attempt"


async def test_a_retry_that_comes_due_in_quiet_hours_wakes_nobody(desk: Desk) -> None:
    asleep_soon = msgspec.structs.replace(target_of("ann"), quiet=quiet_at(NOW_MS + 60_000))
    desk.put(batch_of(targets=[asleep_soon]))
    desk.sender.tell("ann", REFUSED, REFUSED, Accepted())

    await desk.turn()
    desk.clock.advance(seconds=40)
    await desk.turn()  # the second attempt, still before the quiet hours
    desk.clock.advance(seconds=150)
    await desk.turn()  # the third would be due
    assert len(desk.sender.calls) == 2

    desk.clock.advance(seconds=3600)
    await desk.turn()
    assert desk.told()[-1] == ("ann", "sent")


async def test_a_call_held_back_into_quiet_hours_is_not_made(desk: Desk) -> None:
    asleep_soon = msgspec.structs.replace(target_of("ann"), quiet=quiet_at(NOW_MS + 60_000))
    desk.put(batch_of(targets=[asleep_soon]))
    generator = desk.send.handle(desk.batch())
    desk.apply(await anext(generator))  # the intent; then the call waits, as without a lease

    desk.clock.advance(seconds=90)
    async for effects in generator:
        desk.apply(effects)

    assert desk.sender.calls == []
    assert desk.told() == [("ann", "deferred")]


async def test_what_would_have_to_wait_past_its_expiry_expires(desk: Desk) -> None:
    asleep = msgspec.structs.replace(target_of("ann"), quiet=quiet_at(NOW_MS))
    desk.put(batch_of(targets=[asleep], body=body_of(ttl_ms=600_000)))

    await desk.turn()

    (receipt,) = desk.receipts()
    assert (receipt.status, receipt.reason) == ("expired", "quiet_hours")
