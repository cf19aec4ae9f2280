"""Receipts as records."""

import msgspec
import pytest

from agents.facts import Fact
from agents.receipts import ReceiptsAt, ReceiptWriter
from schemas.delivery import Body, Target
from schemas.ids import from_text, notification_id, partition_of
from schemas.kafka import Record
from schemas.receipt import Receipt, decode_receipt

NOW_MS = 1_772_366_400_007
NOTICE = notification_id("", "ann", "k")
DELIVERY = bytes(range(16))
BODY = Body(
    "order_confirmed", "transactional", {}, NOW_MS + 1000,
    tenant="shop", broadcast_id=bytes(16), metadata={"note": 'a "%b" \\ ü'}, traceparent="00-ab",
)  # fmt: skip


def at(now_ms: int = NOW_MS) -> ReceiptsAt:
    return ReceiptWriter(partitions=8).at(now_ms)


def read(record: Record) -> Receipt:
    assert record.value is not None
    return decode_receipt(record.value)


def test_a_receipt_says_what_is_known_of_a_delivery() -> None:
    record = at().delivery(Fact("queued"), BODY, "push", "ann", NOTICE, DELIVERY, device_count=2)

    receipt = read(record)
    assert from_text(receipt.notification_id) == NOTICE
    assert from_text(receipt.delivery_id) == DELIVERY
    assert (receipt.user_id, receipt.channel, receipt.device_count) == ("ann", "push", 2)
    assert (receipt.tenant, receipt.type, receipt.category) == (
        "shop", "order_confirmed", "transactional",
    )  # fmt: skip
    assert (receipt.status, receipt.is_final) == ("queued", False)
    assert (receipt.metadata, receipt.traceparent) == (BODY.metadata, "00-ab")
    assert receipt.occurred_at == receipt.recorded_at == "2026-03-01T12:00:00.007Z"
    assert (record.partition, record.key) == (partition_of("ann", 8), b"ann")


def test_one_delivery_and_its_only_target_are_told_of_in_the_same_words() -> None:
    target = Target("ann", NOTICE, DELIVERY, "ann@example.com")
    fact = Fact("suppressed", "opted_out_type", round_number=1, attempt=2)

    whole = at().delivery(fact, BODY, "email", "ann", NOTICE, DELIVERY)

    assert at().target(fact, BODY, "email", target) == whole


@pytest.mark.parametrize("count", [4, 40])
@pytest.mark.parametrize("message_id", ["", 'm"%-1'])
@pytest.mark.parametrize("device_id", ["", 'd"%b\\1'])
def test_many_targets_are_told_of_in_the_same_words_as_each_alone(
    device_id: str, message_id: str, count: int
) -> None:
    fact = Fact("sent", attempt=2, provider="carrier", provider_code="202")
    targets = [
        Target(f'b"o{n}', notification_id("", "ann", str(n)), bytes([n]) * 16, "a",
               device_id=device_id and f"{device_id}{n}")
        for n in range(count)
    ]  # fmt: skip
    told = [(message_id, targets[:-1]), ("n", targets[-1:])]

    records = at().targets(fact, BODY, "push", told)

    assert records == [
        at().target(fact, BODY, "push", target, said) for said, some in told for target in some
    ]
    assert len({read(record).receipt_id for record in records}) == count


def test_many_deliveries_are_told_of_in_the_same_words_as_each_alone() -> None:
    fact = Fact("queued")
    told = [(f'b"%o{n}', notification_id("", "ann", str(n)), bytes([n]) * 16) for n in range(40)]

    records = at().deliveries(fact, BODY, "push", told, device_count=2)

    assert records == [at().delivery(fact, BODY, "push", *each, device_count=2) for each in told]


def test_a_user_id_with_quotes_stays_what_it_is() -> None:
    user_id = 'a"\\%b\u00fc'

    receipt = read(at().delivery(Fact("queued"), BODY, "email", user_id, NOTICE, DELIVERY))

    assert receipt.user_id == user_id


def test_the_same_fact_has_the_same_id_and_every_other_has_its_own() -> None:
    facts = [
        Fact("queued"),
        Fact("failed", "timeout"),
        Fact("failed", "server_error"),
        Fact("failed", "timeout", attempt=2),
        Fact("failed", "timeout", round_number=1),
    ]

    def id_of(fact: Fact, delivery_id: bytes = DELIVERY, now_ms: int = NOW_MS) -> str:
        record = at(now_ms).delivery(fact, BODY, "email", "ann", NOTICE, delivery_id)
        return read(record).receipt_id

    assert len({id_of(fact) for fact in facts}) == len(facts)
    assert id_of(facts[0]) == id_of(Fact("queued"), now_ms=NOW_MS + 5000)
    assert id_of(facts[0]) != id_of(facts[0], delivery_id=bytes(16))


def test_devices_of_one_delivery_have_receipts_of_their_own() -> None:
    targets = [Target("ann", NOTICE, DELIVERY, "t", device_id=device) for device in ("a", "b")]

    told = [read(at().target(Fact("sent"), BODY, "push", each, "id-7")) for each in targets]

    assert len({receipt.receipt_id for receipt in told}) == 2
    assert [receipt.device_id for receipt in told] == ["a", "b"]
    assert {receipt.provider_message_id for receipt in told} == {"id-7"}


def test_what_is_told_follows_the_body_and_not_the_one_before() -> None:
    receipts, fact = at(), Fact("queued")
    other = msgspec.structs.replace(BODY, type="promotion")

    told = [
        read(receipts.delivery(fact, body, "email", "ann", NOTICE, DELIVERY)).type
        for body in (BODY, other, BODY)
    ]

    assert told == ["order_confirmed", "promotion", "order_confirmed"]


def test_a_repeated_request_has_a_receipt_for_each_time() -> None:
    told = [
        read(
            at().request(
                "duplicate", "", user_id="ann", request_id=NOTICE, type_name="promotion",
                origin=f"notifications.requested:0:{offset}",
            )
        )
        for offset in (1, 2)
    ]  # fmt: skip

    assert {receipt.kind for receipt in told} == {"request"}
    assert len({receipt.receipt_id for receipt in told}) == 2
