"""What the evidence of a round says of the round itself."""

from pathlib import Path

import msgspec

from proof.checker import ledgers
from proof.checker.evidence import Receipt
from proof.seen import Seen
from sandbox.ledger import Line
from schemas.instants import rfc3339

NOON_MS = 1_790_000_000_000
_encode = msgspec.json.encode


def accepted(at_ms: int, provider: str = "sendgrid") -> Line:
    return Line(1, NOON_MS + at_ms, provider, 202, "m", 0, 1, ["d"], ["n"], ["a"], [1])


def told(
    delivery_id: str,
    status: str,
    at_ms: int,
    channel: str = "sms",
    *,
    reason: str = "",
    broadcast_id: str = "b",
) -> Receipt:
    return Receipt(
        receipt_id=f"{delivery_id}-{status}", delivery_id=delivery_id, user_id="ann", channel=channel,
        status=status, reason=reason, broadcast_id=broadcast_id, occurred_at=rfc3339(NOON_MS + at_ms),
    )  # fmt: skip


def write_receipts(folder: Path, *receipts: Receipt) -> None:
    lines = b"".join(_encode(each) + b"\n" for each in receipts)
    (folder / ledgers.receipts_of(ledgers.shard_of("ann"))).write_bytes(lines)


def test_the_busiest_second_begins_at_any_instant(tmp_path: Path) -> None:
    calls = [*map(accepted, (-5, 0, 600, 900, 1_100, 1_599, 1_600)), accepted(1_000, "fcm")]
    (tmp_path / ledgers.LEDGER).mkdir()
    lines = b"".join(_encode(each) + b"\n" for each in calls)
    (tmp_path / ledgers.LEDGER / "ledger-1.jsonl").write_bytes(lines)

    assert Seen(tmp_path, NOON_MS).busiest_second("sendgrid") == 4
    assert Seen(tmp_path, NOON_MS).busiest_second("twilio") == 0


def test_the_largest_request_is_of_the_round_and_of_the_provider(tmp_path: Path) -> None:
    before, ours, others = accepted(-1), accepted(0), accepted(0, "fcm")
    for call, size in ((before, 9), (ours, 3), (others, 7)):
        for column in (call.delivery_ids, call.notification_ids, call.addresses):
            column *= size
        call.body_hashes *= size
    (tmp_path / ledgers.LEDGER).mkdir()
    lines = b"".join(_encode(each) + b"\n" for each in (before, ours, others))
    (tmp_path / ledgers.LEDGER / "ledger-1.jsonl").write_bytes(lines)

    assert Seen(tmp_path, NOON_MS).largest_request("sendgrid") == 3
    assert Seen(tmp_path, NOON_MS).largest_request("twilio") == 0


def test_whoever_opted_out_of_what_was_on_its_way_was_overtaken(tmp_path: Path) -> None:
    write_receipts(
        tmp_path,
        told("before", "queued", -9), told("before", "suppressed", -5, reason="opted_out_type"),
        told("overtaken", "queued", 0), told("overtaken", "suppressed", 9, reason="opted_out_type"),
        told("never", "suppressed", 0, reason="opted_out_channel"),
        told("barred", "queued", 0), told("barred", "suppressed", 9, reason="suppressed_address"),
        told("single", "queued", 0, broadcast_id=""),
        told("single", "suppressed", 9, reason="opted_out_type", broadcast_id=""),
    )  # fmt: skip

    overtaken = [each.delivery_id for each in Seen(tmp_path, NOON_MS).overtaken()]

    assert overtaken == ["overtaken", "single"]


def test_only_who_was_decided_for_in_the_span_and_held_back_by_nothing_has_waited(
    tmp_path: Path,
) -> None:
    write_receipts(
        tmp_path,
        told("before", "queued", 0), told("before", "sent", 50_000),
        told("quick", "queued", 2_000), told("quick", "sent", 2_300),
        told("slow", "queued", 3_000), told("slow", "sent", 10_000),
        told("held", "queued", 3_000), told("held", "deferred", 3_100), told("held", "sent", 90_000),
        told("other", "queued", 3_000, "email"), told("other", "sent", 70_000, "email"),
    )  # fmt: skip

    waits_ms = Seen(tmp_path, NOON_MS).waits_ms({"sms"}, NOON_MS + 1_000, NOON_MS + 5_000)

    assert waits_ms == [300, 7_000]
