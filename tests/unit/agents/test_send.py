"""What a sender does with each outcome, when nothing stops it and nothing crashes."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from channels.base import Outgoing
from channels.rendering import Rendering
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
from tables.state import Kind
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
SPOILT = NotProcessed(reason="spoilt")
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


async def test_a_sender_that_answers_for_too_few_settles_nobody(
    rendering: Rendering, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(rendering, max_batch=3)
    desk.put(batch_of("a", "b", "c", slice_id=SLICE))

    async def all_but_one(batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        return [Accepted()] * (len(batch) - 1)

    monkeypatch.setattr(desk.sender, "send", all_but_one)

    with pytest.raises(ValueError, match="shorter"):
        await desk.turn()
    assert desk.receipts() == []


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_halves_of_a_request_that_was_spoilt_go_again_in_requests_of_their_own(
    rendering: Rendering, monkeypatch: pytest.MonkeyPatch, slice_id: bytes
) -> None:
    desk = Desk(rendering, max_batch=8)
    desk.put(batch_of("a", "b", "c", "d", slice_id=slice_id))
    calls: list[list[str]] = []

    async def refuse_with_c(batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        calls.append([each.user_id for each in batch])
        if "c" not in calls[-1]:
            return [Accepted()] * len(batch)
        if calls[-1] == ["c"]:
            return [Rejected()]
        half = len(batch) // 2
        return [SPOILT] * half + [replace(SPOILT, retry_after_seconds=0.001)] * half

    monkeypatch.setattr(desk.sender, "send", refuse_with_c)

    await desk.settle()

    assert calls == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c"], ["d"]]
    assert sorted(desk.told()) == [("a", "sent"), ("b", "sent"), ("c", "failed"), ("d", "sent")]


async def test_an_address_is_in_a_request_once(rendering: Rendering) -> None:
    desk = Desk(rendering, max_batch=3)
    mailboxes = {"a": "home@x", "b": "Home@X", "c": "c@x", "d": "home@x", "e": "e@x", "f": "f@x"}
    targets = [replace(target_of(name), address=mailboxes[name]) for name in mailboxes]
    desk.put(batch_of(targets=targets, slice_id=SLICE))

    await desk.turn()

    users = [[each.user_id for each in call] for call in desk.sender.calls]
    assert users == [["a", "c", "e"], ["f"], ["b"], ["d"]]
    assert {receipt.status for receipt in desk.receipts()} == {"sent"}


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


async def test_a_delivery_may_wait_in_its_two_hundred_and_fifty_sixth_round(desk: Desk) -> None:
    desk.put(batch_of("ann", round_=256))
    desk.sender.tell("ann", THROTTLED)

    await desk.settle()

    assert desk.told() == [("ann", "sent")]


async def test_bad_credentials_are_told_of_after_any_wait_once_an_attempt(desk: Desk) -> None:
    waited_for_a_token = replace(batch_of("ann"), call=2)
    desk.put(waited_for_a_token)
    desk.sender.tell("ann", Misconfigured(), THROTTLED, Misconfigured(), REFUSED, Misconfigured())

    await desk.settle(step_ms=60_000)

    assert [(r.status, r.reason, r.attempt) for r in desk.receipts()] == [
        ("deferred", "provider_misconfigured", 1), ("deferred", "unreachable", 1),
        ("deferred", "provider_misconfigured", 2), ("sent", "", 2),
    ]  # fmt: skip


async def test_an_outcome_of_another_provider_is_told_as_that_ones(desk: Desk) -> None:
    desk.put(batch_of("ann", "bob"))
    desk.sender.tell("ann", Accepted(provider="spare"))
    desk.sender.tell("bob", Misconfigured(provider="spare"))

    await desk.turn()

    assert [r.provider for r in desk.receipts()] == ["spare", "spare"]
    assert desk.misconfigured == [("spare", "bad_credentials")]


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
