"""When a sender calls: tokens, lines that wait for them, and windows of intents."""

import asyncio

import msgspec
import pytest

from agents.pace import SenderPace
from agents.send import GROUP_MEMBERS, WINDOW_CALLS
from policies.clock import elapsed_ms
from policies.rules import RateLimit
from schemas.outcome import Accepted, NotProcessed
from tests.doubles.batch import BatchOf
from tests.unit.agents.desk import (
    NOW_MS,
    Desk,
    batch_of,
    body_of,
)

SLICE = b"slice".rjust(16, b"\x44")
THROTTLED = NotProcessed(retry_after_seconds=5)


async def test_what_has_no_token_waits_in_line_without_an_intent(desk: Desk) -> None:
    names = ("a", "b", "c", "d", "e", "f")
    desk.limit(RateLimit(2, 1.0))
    desk.put(batch_of(*names, slice_id=SLICE))

    await desk.turn()

    assert desk.sender.calls == [], "a bucket starts empty"
    assert desk.receipts() == [], "a queue is no event"
    waiting = desk.waiting()
    assert [[t.user_id for t in w.targets] for w in waiting] == [[name] for name in names]
    assert {(w.attempt, w.call) for w in waiting} == {(1, 2)}

    calls_by_second = []
    for _ in range(8):
        desk.clock.advance(seconds=1)
        before = len(desk.sender.calls)
        await desk.turn()
        calls_by_second.append(len(desk.sender.calls) - before)
    assert sorted(desk.sender.addresses()) == list(names)
    assert max(calls_by_second) <= 2


async def test_whoever_waited_in_line_for_long_is_soon_back_after_a_refusal(desk: Desk) -> None:
    many_waits = msgspec.structs.replace(batch_of("ann"), call=12)
    desk.sender.tell("ann", NotProcessed(), NotProcessed(), Accepted())
    desk.put(many_waits)

    await desk.turn()
    desk.clock.advance(seconds=1.2)
    await desk.turn()

    assert [(each.call, each.free_calls) for each in desk.waiting()] == [(14, 2)]
    desk.clock.advance(seconds=2.3)
    await desk.turn()
    assert desk.told() == [("ann", "sent")]


async def test_a_refusal_is_remembered_while_a_token_is_waited_for(desk: Desk) -> None:
    desk.limit(RateLimit(1, 1.0))
    desk.put(msgspec.structs.replace(batch_of("ann"), call=3, free_calls=2))

    await desk.turn()

    assert [(each.call, each.free_calls) for each in desk.waiting()] == [(4, 2)]


async def test_a_retry_that_comes_due_while_its_batch_works_on_others_is_not_taken_for_done(
    desk: Desk,
) -> None:
    desk.sender.tell("ann", THROTTLED)
    desk.put(batch_of("ann", "bob"))
    slow = desk.send.handle(desk.batch())
    for _ in range(2):  # both intents, then what came of ann; bob's call is still open
        desk.apply(await anext(slow))

    desk.clock.advance(seconds=6)
    async for effects in desk.send.handle(BatchOf(desk.due(), desk.clock.now_ms(), desk.state)):
        desk.apply(effects)
    async for effects in slow:
        desk.apply(effects)

    assert sorted(desk.told(lambda receipt: receipt.status == "sent")) == [
        ("ann", "sent"),
        ("bob", "sent"),
    ]
    assert desk.waiting() == []


@pytest.mark.parametrize("before", [WINDOW_CALLS, GROUP_MEMBERS], ids=["window", "group"])
async def test_what_comes_later_is_intended_only_when_calls_may_begin(
    desk: Desk, before: int
) -> None:
    desk.put(*(batch_of(f"user{number}") for number in range(before + 1)))
    batch = desk.batch()
    generator = desk.send.handle(batch)
    while len(desk.receipts()) < before:
        desk.apply(await anext(generator))
    batch.may_call.clear()

    going_on = asyncio.ensure_future(anext(generator))
    await asyncio.sleep(0)
    assert not going_on.done()

    batch.may_call.set()
    desk.apply(await going_on)
    async for effects in generator:
        desk.apply(effects)
    assert len(desk.receipts()) == before + 1


@pytest.mark.parametrize("before", [WINDOW_CALLS, GROUP_MEMBERS], ids=["window", "group"])
async def test_only_what_comes_of_the_last_answer_can_wait(desk: Desk, before: int) -> None:
    desk.put(*(batch_of(f"user{number}") for number in range(before + 2)))
    can_wait = []
    async for effects in desk.send.handle(desk.batch()):
        desk.apply(effects)
        can_wait.append(effects.can_wait)

    assert can_wait[-1]
    assert not any(can_wait[:-1])


@pytest.mark.parametrize("extra", [-3, 0, 7])
async def test_who_may_be_in_doubt_is_counted_before_any_intent(desk: Desk, extra: int) -> None:
    most = WINDOW_CALLS * desk.sender.max_batch
    desk.put(batch_of(*map(str, range(most + extra))))
    batch = desk.batch()

    async for effects in desk.send.handle(batch):
        desk.apply(effects)

    assert batch.exposed == [min(most, most + extra)], "as many as one window intends"


async def test_a_template_that_does_not_render_costs_no_token(desk: Desk) -> None:
    desk.limit(RateLimit(2, 1.0))
    desk.clock.advance(seconds=2)
    desk.put(batch_of("x", "y", body=body_of("unheard-of")), batch_of("ann", "bob"))

    await desk.turn()

    assert desk.sender.addresses() == ["ann", "bob"]


async def test_a_batch_that_was_thrown_away_gives_its_tokens_back(desk: Desk) -> None:
    desk.limit(RateLimit(2, 1.0))
    desk.clock.advance(seconds=2)
    desk.put(batch_of("ann", "bob"))
    generator = desk.send.handle(desk.batch())
    desk.apply(await anext(generator))
    await generator.aclose()  # type: ignore[attr-defined]  # a stage's handle is a generator
    desk.undone = []

    desk.clock.advance(seconds=2)
    desk.put(batch_of("cat", "dan"))
    await desk.turn()

    assert desk.sender.addresses() == ["cat", "dan"]


async def test_the_critical_lane_keeps_a_reserve_of_the_tokens(desk: Desk) -> None:
    desk.limit(RateLimit(10, 1.0))
    desk.clock.advance(seconds=2)
    desk.put(batch_of(*(f"bulk{number}" for number in range(20)), slice_id=SLICE))
    await desk.turn()
    assert len(desk.sender.calls) == 9

    desk.put(msgspec.structs.replace(batch_of("ann"), lane="critical"))
    await desk.turn()

    assert desk.sender.addresses()[9:] == ["ann"]


async def test_one_senders_full_line_does_not_hold_up_another_sender(desk: Desk) -> None:
    desk.pace = SenderPace(limits={"us": RateLimit(1, 1.0), "de": RateLimit(50, 1.0)})
    desk.start()
    desk.pace.take_over({0}, elapsed_ms(desk.clock))
    desk.clock.advance(seconds=2)
    crowd = batch_of(*(f"us{number}" for number in range(20)), slice_id=SLICE, channel="sms")
    desk.put(
        msgspec.structs.replace(crowd, sender="us"),
        msgspec.structs.replace(batch_of("ann", channel="sms"), sender="de"),
    )

    await desk.turn()

    assert desk.sender.addresses() == ["us0", "ann"]


async def test_a_clock_that_is_set_brings_no_token_back_and_keeps_none(desk: Desk) -> None:
    desk.pace = SenderPace(limits={"us": RateLimit(5, 1.0)})
    desk.start()
    crowd = batch_of(*(f"us{number}" for number in range(6)), slice_id=SLICE, channel="sms")
    crowd = msgspec.structs.replace(crowd, sender="us")
    desk.pace.take_over({0}, elapsed_ms(desk.clock))
    desk.clock.advance(seconds=2)
    desk.put(crowd)
    await desk.turn()
    sent = len(desk.sender.addresses())

    desk.clock.set_wall_ms(desk.clock.now_ms() + 60_000)
    await desk.turn()
    assert len(desk.sender.addresses()) == sent < 6

    desk.clock.set_wall_ms(desk.clock.now_ms() + 1_000)
    desk.clock.advance(seconds=3)
    await desk.turn()
    assert len(desk.sender.addresses()) == 6


async def test_a_partition_taken_over_again_starts_with_empty_buckets() -> None:
    pace = SenderPace(limits={"us": RateLimit(5, 1.0)})
    batch = msgspec.structs.replace(batch_of("ann", channel="sms"), sender="us")
    pace.take_over({3}, NOW_MS)
    first = pace.line(3, batch, NOW_MS)
    assert first is not None
    assert first.take(batch, 5, NOW_MS + 2_000) == 5

    pace.take_over({3}, NOW_MS + 2_000)

    again = pace.line(3, batch, NOW_MS + 2_999)
    assert again is not None
    assert again.take(batch, 5, NOW_MS + 2_999) == 0
