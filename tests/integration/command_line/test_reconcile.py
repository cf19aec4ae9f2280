"""`postrider reconcile` on topics as roles leave them, and on ones where something is missing."""

import json
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition as KafkaPartition

from agents.facts import Fact
from schemas import topics
from schemas.delivery import decode_batch
from schemas.ids import partition_of, to_text
from schemas.kafka import Record
from schemas.receipt import decode_receipt
from streams.names import changelog
from streams.topology import DECIDE
from tables.state import Kind
from tests.integration.command_line.conftest import PARTITIONS, Installation
from tests.integration.command_line.roles import Roles

NORMAL = topics.REQUESTED["normal"]
QUEUES = {
    "email": topics.deliveries("email", "normal"),
    "sms": topics.deliveries("sms", "critical"),
    "in_app": topics.deliveries("in_app", "normal"),
}
SENT = Fact("sent", attempt=1, provider="carrier")


@pytest.fixture
def roles(postrider: Installation) -> Roles:
    return Roles(postrider)


def request(
    user_id: str, type_name: str = "order_confirmed", *, partition: int | None = None, **more: Any
) -> Record:
    given = {
        "email": f"{user_id}@example.com",
        "phone": "+15550100123",
        "timezone": "Europe/Berlin",
    }
    value = {"user_id": user_id, "type": type_name, "recipient": given, **more}
    home = partition_of(user_id, PARTITIONS)
    return Record(
        NORMAL if type_name != "login_code" else topics.REQUESTED["critical"],
        home if partition is None else partition,
        json.dumps(value).encode(),
        user_id.encode(),
    )


def reconciled(postrider: Installation) -> tuple[object, dict[str, Any]]:
    ended = postrider("reconcile", "--json")
    assert ended.err == ""
    return ended.code, json.loads(ended.out)


def not_receipts(record: Record) -> bool:
    return record.topic != topics.RECEIPTS


def test_reconcile_accounts_for_every_kind_of_request(
    postrider: Installation, roles: Roles
) -> None:
    away = 1 - partition_of("eve", PARTITIONS)
    postrider.write(
        request("ann", channels=["email"], idempotency_key="k1"),
        request("ann", channels=["email"], idempotency_key="k1"),
        request("ann", channels=["in_app"], idempotency_key="k1"),
        request("bob", "no_such_type"),
        Record(NORMAL, 0, b"{rubbish", b"x"),
        Record(NORMAL, 1, None, b"x"),
        request("eve", channels=["in_app"], partition=away),
        request("dan", channels=["in_app", "sms"]),
    )
    roles.decide(NORMAL)
    roles.decide(topics.forwarded(NORMAL))
    roles.send(QUEUES["email"], SENT)
    postrider.write(request("fay", channels=["in_app"]))

    code, found = reconciled(postrider)

    assert found["requests"] == {
        "total": 9, "decided": 3, "rejected": 4, "duplicate": 1, "waiting": 1, "missing": 0,
    }  # fmt: skip
    assert found["deliveries"] == {
        "total": 4, "settled": 2, "deferred": 0, "retrying": 0, "in_flight": 2, "missing": 0,
    }  # fmt: skip
    assert (code, found["holds"]) == (0, True)


def test_reconcile_names_a_request_that_was_read_and_left_no_trace(
    postrider: Installation, roles: Roles
) -> None:
    away = 1 - partition_of("eve", PARTITIONS)
    postrider.write(request("ann", channels=["in_app"]), request("eve", partition=away))
    roles.decide(NORMAL, keep=lambda record: False)

    ended = postrider("reconcile")

    assert ended.code == 1
    assert "2 MISSING" in ended.out
    assert f"lost request: {NORMAL}:{partition_of('ann', PARTITIONS)}:0" in ended.out
    assert f"lost request: {NORMAL}:{away}:" in ended.out


def test_reconcile_takes_an_aborted_transaction_for_nothing(
    postrider: Installation, roles: Roles
) -> None:
    postrider.write(request("ann", channels=["in_app"]))
    (read,) = postrider.read(NORMAL)
    told: list[Record] = []

    def keep_for_later(record: Record) -> bool:
        told.append(record)
        return False

    roles.decide(NORMAL, keep=keep_for_later)

    roles.commit(DECIDE, read, [], told, abort=True)

    code, found = reconciled(postrider)
    assert (code, found["requests"]["missing"]) == (1, 1)


def test_reconcile_finds_an_open_delivery_in_its_queue_and_in_its_schedule(
    postrider: Installation, roles: Roles
) -> None:
    postrider.write(*(request(f"user-{n}", "login_code") for n in range(4)))
    roles.decide(topics.REQUESTED["critical"])

    assert reconciled(postrider)[1]["deliveries"]["in_flight"] == 4, "in the queue"
    roles.send(QUEUES["sms"], None)
    code, found = reconciled(postrider)
    assert (code, found["deliveries"]["in_flight"]) == (0, 4), "on the schedule"


def test_reconcile_names_a_delivery_that_is_nowhere(postrider: Installation, roles: Roles) -> None:
    postrider.write(request("ann", "login_code"), request("bob", channels=["in_app"]))
    roles.decide(NORMAL, topics.REQUESTED["critical"])
    roles.send(QUEUES["in_app"], SENT, keep=not_receipts)
    (sms,) = postrider.read(QUEUES["sms"])
    roles.send(QUEUES["sms"], None)
    (row,) = postrider.read(changelog("sms", Kind.DURABLE))
    postrider.write(Record(row.topic, row.partition, None, row.key))

    ended = postrider("reconcile")

    lost = to_text(decode_batch(sms.value or b"").targets[0].delivery_id)
    assert ended.code == 1
    assert f"lost delivery: {lost} (sms, in flight)" in ended.out
    assert "2 MISSING" in ended.out


def test_reconcile_finds_what_a_policy_holds(postrider: Installation, roles: Roles) -> None:
    postrider.write(request("ann", channels=["in_app"], send_at="2100-01-01T00:00:00Z",
                            expires_at="2101-01-01T00:00:00Z"))  # fmt: skip
    roles.decide(NORMAL)

    code, found = reconciled(postrider)
    assert (code, found["deliveries"]["deferred"]) == (0, 1)
    waiting = [each for each in postrider.read(changelog(DECIDE, Kind.DURABLE)) if each.key]
    for row in waiting:
        postrider.write(Record(row.topic, row.partition, None, row.key))

    code, found = reconciled(postrider)
    assert (code, found["deliveries"]["missing"]) == (1, 1)


def test_reconcile_tells_when_retention_overtook_a_role(
    postrider: Installation, roles: Roles
) -> None:
    home = partition_of("ann", PARTITIONS)
    postrider.write(request("ann", channels=["in_app"]))
    roles.decide(NORMAL)
    postrider.write(request("ann"), request("ann"))
    postrider.run(_delete_before(postrider, KafkaPartition(_physical(postrider), home), 3))

    ended = postrider("reconcile")

    assert ended.code == 1
    assert "2 records were deleted before they were read" in ended.out


def _physical(postrider: Installation) -> str:
    return postrider.config.kafka.names.physical(NORMAL)


async def _delete_before(postrider: Installation, place: KafkaPartition, offset: int) -> None:
    client = AIOKafkaAdminClient(**postrider.config.kafka.connection())
    await client.start()
    try:
        await client.delete_records({place: RecordsToDelete(before_offset=offset)})
    finally:
        await client.close()


def test_reconcile_follows_a_broadcast_to_its_members(
    postrider: Installation, roles: Roles
) -> None:
    value = {"type": "order_confirmed", "channels": ["in_app"], "user_ids": ["ann", "bob", "cid"]}
    record = Record(topics.BROADCASTS_REQUESTED, 1, json.dumps(value).encode())
    unknown = Record(topics.BROADCASTS_REQUESTED, 0, b'{"type":"no","user_ids":["ann"]}')
    postrider.write(record, unknown)
    roles.decide(topics.BROADCASTS_REQUESTED)
    roles.decide(topics.BROADCASTS_ACCEPTED)
    roles.fan_out()

    code, found = reconciled(postrider)

    assert (found["requests"]["decided"], found["requests"]["rejected"]) == (1, 1)
    assert found["deliveries"]["in_flight"] == 3
    assert code == 0


def test_reconcile_looks_at_the_time_range_only(postrider: Installation, roles: Roles) -> None:
    postrider.write(request("ann", channels=["in_app"]))
    roles.decide(NORMAL)
    (receipt,) = postrider.read(topics.RECEIPTS)
    after = decode_receipt(receipt.value or b"").occurred_at.replace("Z", "+00:00")

    ended = postrider("reconcile", "--json", "--since", "7d", "--until", "1h")
    assert json.loads(ended.out)["requests"]["total"] == 0
    ended = postrider("reconcile", "--json", "--until", after)
    assert json.loads(ended.out)["requests"]["total"] == 1


def test_reconcile_refuses_a_time_it_cannot_read_in_one_line(postrider: Installation) -> None:
    for arguments, told in (
        (["--since", "yesterday"], "--since: expected a duration"),
        (["--since", "2026-03-01T12:00:00"], "--since: "),
        (["--since", "1h", "--until", "2h"], "--until: expected an instant after --since"),
    ):
        ended = postrider("reconcile", *arguments)

        assert (ended.code, ended.out) == (2, "")
        assert told in ended.err
        assert len(ended.err.splitlines()) == 1
