"""When there is nothing more to hear of a notification."""

from msgspec.structs import replace

from policies.receipt_merge import state_rank
from schemas.receipt import FINAL_STATUSES, Receipt, Status
from streams.following import Following

ID = "n1"


def receipt(
    status: Status, channel: str = "push", *, reason: str = "", device: str = "", devices: int = 1
) -> Receipt:
    return Receipt(
        receipt_id="r", schema_version="1.0", notification_id=ID, delivery_id=f"d-{channel}",
        user_id="ann", channel=channel, type="t", status=status, reason=reason,
        is_final=status in FINAL_STATUSES, state_rank=state_rank(status), device_id=device,
        device_count=devices, occurred_at="2026-01-01T00:00:00.000Z",
        recorded_at="2026-01-01T00:00:00.000Z",
    )  # fmt: skip


def test_a_notification_nobody_spoke_of_is_not_settled() -> None:
    assert not Following(ID).is_settled


def test_a_notification_is_settled_when_every_delivery_left_or_ended() -> None:
    following = Following(ID)
    following.note(receipt("queued", "push"))
    following.note(receipt("suppressed", "email", reason="opted_out_channel"))
    assert not following.is_settled

    following.note(receipt("sent", "push"))

    assert following.is_settled


def test_a_push_waits_for_all_devices_unless_one_was_reached() -> None:
    following = Following(ID)
    following.note(receipt("queued", devices=2))
    following.note(receipt("failed", device="a", devices=2))
    assert not following.is_settled

    following.note(receipt("sent", device="b", devices=2))

    assert following.is_settled


def test_a_failure_waits_for_the_fallback_channel() -> None:
    following = Following(ID, fallback=["sms"])
    following.note(receipt("failed", "push", reason="attempts_exhausted"))
    assert not following.is_settled

    following.note(receipt("queued", "sms"))
    assert not following.is_settled
    following.note(receipt("sent", "sms"))

    assert following.is_settled


def test_our_own_error_is_not_continued_by_a_fallback() -> None:
    following = Following(ID, fallback=["sms"])

    following.note(receipt("failed", reason="stage_error"))

    assert following.is_settled


def test_what_is_in_doubt_goes_on_to_the_fallback_only_where_the_type_resends() -> None:
    holding, resending = (
        Following(ID, fallback=["sms"]),
        Following(ID, fallback=["sms"], resends=True),
    )

    for following in (holding, resending):
        following.note(receipt("in_doubt"))

    assert holding.is_settled
    assert not resending.is_settled


def test_a_request_that_made_no_delivery_is_settled() -> None:
    following = Following(ID)
    refused = receipt("rejected", reason="unknown_type")

    assert following.note(replace(refused, kind="request"))

    assert following.is_settled


def test_receipts_of_others_are_not_noted() -> None:
    following = Following("n2")

    assert not following.note(receipt("sent"))
    assert not following.is_settled
