"""`postrider send`, and what it shows of what becomes of a request."""

import asyncio
import json
import threading

from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from agents.decide import request_id_of
from agents.stage import Item
from policies.receipt_merge import state_rank
from schemas import ids
from schemas.kafka import InboundRecord
from schemas.receipt import FINAL_STATUSES, Receipt, Status, encode_receipt
from schemas.topics import RECEIPTS, REQUESTED
from streams.requesting import checked
from tests.integration.command_line.conftest import PARTITIONS, Installation

ANN = ("--user", "ann", "--type", "order_confirmed")


def receipt(notification_id: str, status: Status, reason: str = "") -> Receipt:
    return Receipt(
        receipt_id="r", schema_version="1.0", notification_id=notification_id, delivery_id="d",
        user_id="ann", channel="email", type="order_confirmed", status=status, reason=reason,
        is_final=status in FINAL_STATUSES, state_rank=state_rank(status), attempt=1,
        occurred_at="2026-01-01T00:00:00.000Z", recorded_at="2026-01-01T00:00:00.000Z",
    )  # fmt: skip


def id_by_the_record(record: InboundRecord) -> str:
    """As whoever reads the record computes it."""
    request, _ = checked(json.loads(record.value or b""))
    item = Item(request, record.topic, record.partition, record.offset, record.timestamp_ms)
    return ids.to_text(request_id_of(item))


def test_send_prints_the_id_that_the_record_itself_has(postrider: Installation) -> None:
    ended = postrider("send", *ANN, "--lane", "critical", "--data", '{"order": 7}', "--ttl", "5m")

    (record,) = postrider.read(REQUESTED["critical"])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{id_by_the_record(record)}\n"
    assert (record.key, record.partition) == (b"ann", ids.partition_of("ann", PARTITIONS))
    assert json.loads(record.value or b"") == {
        "user_id": "ann", "type": "order_confirmed", "data": {"order": 7}, "ttl_seconds": 300
    }  # fmt: skip


def test_a_key_makes_two_requests_one(postrider: Installation) -> None:
    keyed = ("send", *ANN, "--key", "order-7", "--tenant", "shop")

    first, second, other = postrider(*keyed), postrider(*keyed), postrider("send", *ANN)

    assert first.out == second.out != other.out
    assert first.out.strip() == ids.to_text(ids.notification_id("shop", "ann", "order-7"))


def test_send_tells_scripts_where_the_request_is(postrider: Installation) -> None:
    ended = postrider("send", *ANN, "--channel", "email", "--channel", "push", "--json")

    (record,) = postrider.read(REQUESTED["normal"])
    assert json.loads(ended.out) == {
        "notification_id": id_by_the_record(record), "topic": REQUESTED["normal"],
        "partition": record.partition, "offset": 0,
    }  # fmt: skip
    assert json.loads(record.value or b"")["channels"] == ["email", "push"]


def test_follow_shows_what_is_committed_until_the_notification_is_settled(
    postrider: Installation,
) -> None:
    answering = threading.Thread(target=asyncio.run, args=[_answer(postrider)])
    answering.start()

    ended = postrider(
        "send", *ANN, "--key", "k", "--tenant", "shop", "--follow", "--timeout", "30s"
    )

    answering.join()
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[1:] == [
        "2026-01-01T00:00:00.000Z email queued",
        "2026-01-01T00:00:00.000Z email sent",
    ]


def test_follow_gives_up_when_told_to(postrider: Installation) -> None:
    ended = postrider("send", *ANN, "--follow", "--timeout", "100ms")

    assert (ended.code, ended.err) == (1, "not settled after 100ms\n")
    assert len(ended.out.split()) == 1


def test_a_request_that_would_be_refused_is_not_published(postrider: Installation) -> None:
    told = {
        ("send", "--user", "a b", "--type", "t"): (
            r"user_id: String should match pattern '^[^\s\p{C}]+$'"
        ),
        ("send", *ANN, "--channel", "fax"): (
            "channels[0]: Input should be 'push', 'email', 'sms' or 'in_app'"
        ),
        ("send", *ANN, "--data", "[1]"): "data: Input should be an object",
        ("send", *ANN, "--data", "{"): (
            "--data: not JSON: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)"
        ),
        ("send", *ANN, "--ttl", "5"): (
            "--ttl: expected a duration such as 30s, 5m, 24h or 7d, got '5'"
        ),
        ("send", *ANN, "--send-at", "2026-03-01T12:00:00"): (
            "--send-at: input should have timezone info"
        ),
    }

    ended = {arguments: postrider(*arguments) for arguments in told}

    assert {arguments: each.err for arguments, each in ended.items()} == {
        arguments: f"postrider: {line}\n" for arguments, line in told.items()
    }
    assert {each.code for each in ended.values()} == {2}
    assert postrider.read(REQUESTED["normal"]) == []


async def _answer(postrider: Installation) -> None:
    """Once the request is there, what a worker says of it, and what one that died had begun."""
    names = postrider.config.kafka.names
    while not await postrider.records(REQUESTED["normal"]):
        pass  # each look takes a moment
    notification_id = ids.to_text(ids.notification_id("shop", "ann", "k"))
    other = replace(receipt(notification_id, "failed"), notification_id="another")
    async with AIOKafkaProducer(
        **postrider.config.kafka.connection(), transactional_id=names.physical("answer")
    ) as producer:

        async def tell(*receipts: Receipt) -> None:
            for each in receipts:
                await producer.send_and_wait(
                    names.physical(RECEIPTS),
                    encode_receipt(each),
                    partition=ids.partition_of("ann", PARTITIONS),
                )

        await producer.begin_transaction()
        await tell(receipt(notification_id, "failed"))
        await producer.abort_transaction()
        async with producer.transaction():
            await tell(other, receipt(notification_id, "queued"), receipt(notification_id, "sent"))
