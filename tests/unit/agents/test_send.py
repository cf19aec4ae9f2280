"""What a sender does with each outcome, stop and limit, when nothing crashes."""

import asyncio

import msgspec
import pytest

from agents.pace import SenderPace
from agents.send import WINDOW_CALLS
from channels.rendering import Rendering
from policies.clock import elapsed_ms
from policies.quiet_hours import DaySpan, written
from policies.rules import RateLimit
from policies.stops import HORIZON_MS
from policies.zones import DAY_MS
from schemas.dead_letter import decode_dead_letter
from schemas.delivery import DeliveryBatch
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
    Unknown,
)
from schemas.recipient_events import (
    AddressBarred,
    DeviceLost,
    decode_address_events,
    decode_derived,
)
from schemas.topics import ADDRESSES_CHANGED, DEAD_LETTERS, RECIPIENTS_DERIVED
from tables import parked
from tables.state import Kind
from tests.doubles.batch import BatchOf
from tests.unit.agents.desk import (
    NOW_MS,
    Desk,
    batch_of,
    body_of,
    target_of,
)

SLICE = b"slice".rjust(16, b"\x44")
REFUSED = NotProcessed(consumes_attempt=True, reason="unreachable")
THROTTLED = NotProcessed(retry_after_seconds=5)
TIMEOUT = Unknown(reason="timeout")


async def test_an_accepted_delivery_is_told_as_sent_with_the_providers_id(desk: Desk) -> None:
    desk.put(batch_of("ann"))
    desk.sender.tell("ann", Accepted(provider_message_id="sg-1", provider_code="202"))

    await desk.turn()

    (receipt,) = desk.receipts()
    assert (receipt.status, receipt.attempt, receipt.is_final) == ("sent", 1, False)
    assert receipt.provider == "carrier"
    assert (receipt.provider_message_id, receipt.provider_code) == ("sg-1", "202")
    assert desk.waiting() == []


async def test_a_slice_goes_out_in_requests_of_the_senders_size(rendering: Rendering) -> None:
    desk = Desk(rendering, max_batch=3)
    desk.put(batch_of("a", "b", "c", "d", "e", slice_id=SLICE))

    await desk.turn()

    assert [len(call) for call in desk.sender.calls] == [3, 2]
    assert len({id(each.content) for call in desk.sender.calls for each in call}) == 1
    assert desk.state.count(Kind.TRANSIENT) == 1, "a slice has one ledger row"


async def test_personal_contents_share_no_request(rendering: Rendering) -> None:
    desk = Desk(rendering, max_batch=10)
    desk.put(batch_of("ann", "bob", body=body_of("letter"), slice_id=SLICE))

    await desk.turn()

    assert [len(call) for call in desk.sender.calls] == [1, 1]
    assert desk.told() == [("ann", "sent"), ("bob", "sent")]


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_a_refused_connection_takes_the_ladder_and_ends_as_a_dead_letter(
    desk: Desk, slice_id: bytes
) -> None:
    desk.put(batch_of("ann", "bob", slice_id=slice_id))
    desk.sender.tell("ann", *[REFUSED] * 4)

    await desk.settle()

    assert desk.sender.addresses() == ["ann", "bob", "ann", "ann", "ann"]
    ann = [r for r in desk.receipts() if r.user_id == "ann"]
    assert [(r.status, r.attempt) for r in ann] == [
        ("deferred", 1), ("deferred", 2), ("deferred", 3), ("failed", 4)
    ]  # fmt: skip
    assert ann[-1].reason == "attempts_exhausted"
    (letter,) = [
        decode_dead_letter(r.value or b"") for r in desk.records if r.topic == DEAD_LETTERS
    ]
    assert [t.user_id for t in letter.batch().targets] == ["ann"]
    assert letter.replayable


async def test_a_retry_comes_due_a_step_of_the_ladder_later(desk: Desk) -> None:
    desk.put(batch_of("ann"))
    desk.sender.tell("ann", REFUSED)
    await desk.turn()

    desk.clock.advance(ms=26_000)
    await desk.turn()
    assert desk.sender.addresses() == ["ann"]

    desk.clock.advance(ms=7_000)
    await desk.turn()
    assert desk.sender.addresses() == ["ann", "ann"]


async def test_being_throttled_consumes_no_attempt_and_is_bounded_by_the_expiry(
    desk: Desk,
) -> None:
    desk.put(batch_of("ann", body=body_of(ttl_ms=60_000)))
    desk.sender.tell("ann", *[THROTTLED] * 50)

    await desk.settle(step_ms=5_000)

    assert len(desk.sender.calls) > 3
    (receipt,) = desk.receipts()
    assert (receipt.status, receipt.reason) == ("expired", "ttl")


async def test_those_of_a_slice_who_wait_alike_are_one_schedule_row(desk: Desk) -> None:
    desk.put(batch_of("ann", "bob", "cat", "dan", slice_id=SLICE))
    for name in ("ann", "cat"):
        desk.sender.tell(name, THROTTLED)
    desk.sender.tell("dan", REFUSED)

    await desk.turn()

    waiting = desk.waiting()
    # The calls end one by one here, so each of the throttled has its own yield.
    assert sorted([t.user_id for t in w.targets] for w in waiting) == [["ann"], ["cat"], ["dan"]]
    assert len({w.slice_id for w in waiting} | {SLICE}) == 4, "each part is a unit of its own"
    assert {(w.targets[0].user_id, w.attempt, w.call) for w in waiting} == {
        ("ann", 1, 2), ("cat", 1, 2), ("dan", 2, 2)
    }  # fmt: skip


async def test_doubt_is_final_for_a_type_that_holds(desk: Desk) -> None:
    desk.put(batch_of("ann", body=body_of(fallback=("sms",))))
    desk.sender.tell("ann", TIMEOUT)

    await desk.settle()

    assert desk.told() == [("ann", "in_doubt")]
    assert desk.receipts()[0].reason == "timeout"
    assert desk.returned() == []


async def test_doubt_is_reported_and_sent_again_for_a_type_that_resends(desk: Desk) -> None:
    desk.put(batch_of("ann", body=body_of("code")))
    desk.sender.tell("ann", TIMEOUT)

    await desk.settle()

    assert [(r.status, r.reason, r.attempt, r.is_final) for r in desk.receipts()] == [
        ("in_doubt", "timeout", 1, False), ("sent", "", 2, False)
    ]  # fmt: skip


async def test_doubt_stays_when_no_time_is_left_to_send_again(desk: Desk) -> None:
    desk.put(batch_of("ann", body=body_of("code", ttl_ms=10_000)))
    desk.sender.tell("ann", TIMEOUT)

    await desk.settle()

    assert desk.told() == [("ann", "in_doubt")]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(Rejected(reason="rejected_by_provider"), "rejected_by_provider"),
     (AddressInvalid(), "address_invalid")],
)  # fmt: skip
async def test_a_permanent_refusal_is_never_retried_and_goes_back_for_fallback(
    desk: Desk, outcome: Outcome, reason: str
) -> None:
    desk.put(batch_of("ann", body=body_of(fallback=("sms",))), batch_of("bob"))
    desk.sender.tell("ann", outcome)
    desk.sender.tell("bob", outcome)

    await desk.settle()

    assert desk.told() == [("ann", "failed"), ("bob", "failed")]
    (returned,) = desk.returned()
    assert returned.reason == reason
    assert [t.user_id for t in returned.targets] == ["ann"]


async def test_a_dead_address_is_told_to_those_who_keep_addresses(desk: Desk) -> None:
    desk.put(batch_of("ann"))
    desk.sender.tell("ann", AddressInvalid())

    await desk.turn()

    (record,) = [r for r in desk.records if r.topic == ADDRESSES_CHANGED]
    (event,) = decode_address_events(record.value or b"")
    assert isinstance(event, AddressBarred)
    assert event.address_hash == target_of("ann").address_hash


async def test_a_dead_token_is_removed_as_of_when_it_was_read(desk: Desk) -> None:
    desk.put(batch_of(channel="push", targets=[target_of("ann", device="d1")]))
    desk.sender.tell("annd1", AddressInvalid())
    desk.clock.advance(ms=60_000)

    await desk.turn()

    (record,) = [r for r in desk.records if r.topic == RECIPIENTS_DERIVED]
    (lost,) = decode_derived(record.value or b"")
    assert isinstance(lost, DeviceLost)
    assert (lost.device_id, lost.occurred_ms) == ("d1", NOW_MS)


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_push_has_failed_only_when_all_devices_have(desk: Desk, slice_id: bytes) -> None:
    devices = [
        target_of("ann", device="d1", devices=2),
        target_of("ann", device="d2", devices=2),
        target_of("bob", device="d1", devices=2),
        target_of("bob", device="d2", devices=2),
    ]
    body = body_of(fallback=("sms",))
    desk.put(batch_of(channel="push", body=body, targets=devices, slice_id=slice_id))
    desk.sender.tell("annd1", Rejected())
    desk.sender.tell("annd2", REFUSED, Rejected())
    desk.sender.tell("bobd1", Rejected())

    await desk.turn()
    assert desk.returned() == []
    await desk.settle()

    (returned,) = desk.returned()
    assert [t.user_id for t in returned.targets] == ["ann"]


@pytest.mark.parametrize("gone_first", [True, False])
async def test_a_gone_device_and_a_failed_one_are_a_failed_delivery(
    desk: Desk, gone_first: bool
) -> None:
    devices = [target_of("ann", device=d, devices=2) for d in ("d1", "d2")]
    body = body_of(fallback=("sms",))
    parts = [batch_of(channel="push", body=body, targets=[device]) for device in devices]

    for part, is_gone in zip(parts, [gone_first, not gone_first], strict=True):
        if is_gone:
            device = part.targets[0].device_id
            desk.stops.note_device_removed("ann", device, occurred_ms=NOW_MS, appended_ms=NOW_MS)
        else:
            desk.sender.tell(part.targets[0].address, Rejected())
        desk.put(part)
        await desk.turn()

    assert sorted(status for _, status in desk.told()) == ["failed", "suppressed"]
    assert len(desk.returned()) == 1


async def test_devices_that_are_all_gone_are_no_failure(desk: Desk) -> None:
    devices = [target_of("ann", device=d, devices=2) for d in ("d1", "d2")]
    desk.put(batch_of(channel="push", body=body_of(fallback=("sms",)), targets=devices))
    desk.stops.note_deleted("ann", occurred_ms=NOW_MS, appended_ms=NOW_MS)

    await desk.turn()

    assert desk.told() == [("ann", "suppressed")] * 2
    assert desk.returned() == []


async def test_bad_credentials_keep_the_deliveries_and_call_an_operator(desk: Desk) -> None:
    desk.put(batch_of("ann"))
    desk.sender.tell("ann", *[Misconfigured()] * 3)

    await desk.settle(step_ms=60_000)

    assert desk.misconfigured == [("carrier", "bad_credentials")] * 3
    assert [(r.status, r.reason, r.attempt) for r in desk.receipts()] == [
        ("deferred", "provider_misconfigured", 1), ("sent", "", 1)
    ]  # fmt: skip


async def test_an_outcome_of_another_provider_is_told_as_that_ones(desk: Desk) -> None:
    desk.put(batch_of("ann", "bob"))
    desk.sender.tell("ann", Accepted(provider="spare"))
    desk.sender.tell("bob", Misconfigured(provider="spare"))

    await desk.turn()

    assert [r.provider for r in desk.receipts()] == ["spare", "spare"]
    assert desk.misconfigured == [("spare", "bad_credentials")]


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


async def test_a_later_window_is_intended_only_when_calls_may_begin(desk: Desk) -> None:
    desk.put(*(batch_of(f"user{number}") for number in range(WINDOW_CALLS + 1)))
    batch = desk.batch()
    generator = desk.send.handle(batch)
    desk.apply(await anext(generator))
    batch.may_call.clear()
    while len(desk.receipts()) < WINDOW_CALLS:
        desk.apply(await anext(generator))

    going_on = asyncio.ensure_future(anext(generator))
    await asyncio.sleep(0)
    assert not going_on.done()

    batch.may_call.set()
    desk.apply(await going_on)
    async for effects in generator:
        desk.apply(effects)
    assert len(desk.receipts()) == WINDOW_CALLS + 1


async def test_what_would_have_to_wait_past_its_expiry_expires(desk: Desk) -> None:
    asleep = msgspec.structs.replace(target_of("ann"), quiet=quiet_at(NOW_MS))
    desk.put(batch_of(targets=[asleep], body=body_of(ttl_ms=600_000)))

    await desk.turn()

    (receipt,) = desk.receipts()
    assert (receipt.status, receipt.reason) == ("expired", "quiet_hours")


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
    for sender in ("us", "de"):
        batch = msgspec.structs.replace(batch_of("x"), sender=sender)
        desk.pace.line(0, batch, elapsed_ms(desk.clock))
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
    desk.pace.line(0, crowd, elapsed_ms(desk.clock))
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
    first = pace.line(3, batch, NOW_MS)
    assert first is not None
    assert first.take(batch, 5, NOW_MS + 2_000) == 5

    pace.take_over(3)

    again = pace.line(3, batch, NOW_MS + 2_000)
    assert again is not None
    assert again.take(batch, 5, NOW_MS + 2_000) == 0


async def test_a_template_that_does_not_render_fails_its_delivery_alone(desk: Desk) -> None:
    desk.put(batch_of("ann", body=body_of("unheard-of")), batch_of("bob"))

    await desk.turn()

    assert sorted(desk.told()) == [("ann", "failed"), ("bob", "sent")]
    assert [r.reason for r in desk.receipts() if r.user_id == "ann"] == ["template_error"]


async def test_singles_with_bodies_of_their_own_keep_them_through_a_retry(desk: Desk) -> None:
    news, letter = body_of(), body_of("letter")
    targets = [target_of("ann"), target_of("bob", body=1)]
    desk.put(DeliveryBatch("email", "normal", [news, letter], targets, NOW_MS))
    desk.sender.tell("bob", THROTTLED)

    await desk.turn()

    (waiting,) = desk.waiting()
    assert waiting.bodies == [letter]
    assert waiting.body_of(waiting.targets[0]) == letter
