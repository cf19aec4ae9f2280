"""Whatever a producer writes becomes a receipt or a dead letter, and its neighbours go on.

One pipeline of real workers for all; each test has users of its own.
"""

import hashlib
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from sandbox.ledger import read_ledger
from schemas import ids, topics
from schemas.ids import partition_of
from schemas.kafka import Headers
from schemas.receipt import Receipt
from streams.embedded_kafka import EmbeddedKafka
from streams.reconcile import reconcile
from streams.topology import ROLES
from tests.acceptance.pipeline_lab import PARTITIONS, Pipeline, pipeline
from tests.acceptance.producing import (
    NOW,
    SECONDS,
    Place,
    at_rest,
    change,
    forwarded_records,
    forwarded_so_far,
    letters_at,
    of_status,
    order,
    told,
    write,
)
from tests.integration.streams.raw_headers import append_raw
from tests.mutations import USERS, records

# Five workers start for the first of them.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

NORMAL = topics.REQUESTED["normal"]
FOR_SHOPS = "orders.of.shops"
MEGABYTE = 1024 * 1024
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FUZZ = {
    topics.RECIPIENTS_CHANGED: 80,
    **dict.fromkeys(topics.REQUESTED.values(), 50),
    topics.BROADCASTS_REQUESTED: 15,
    topics.NOTIFICATIONS_CANCELLED: 30,
    topics.CONTROLS: 30,
}
"""Records of each topic."""


def a_file(folder: Path) -> Path:
    """The repository's configuration, with a topic that is kept for some tenants."""
    tree = yaml.safe_load(Path("faust.yaml").read_text())
    tree["templates"] = str(Path("templates").resolve())
    tree["ingress"] += [{"topic": FOR_SHOPS, "lane": "normal", "tenants": ["bakery", "florist"]}]
    file = folder / "faust.yaml"
    file.write_text(yaml.safe_dump(tree))
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pipeline]:
    folder = tmp_path_factory.mktemp("pipeline")
    async with pipeline(kafka.bootstrap, folder, file=a_file(folder)) as lab:
        await lab.until_ready()
        yield lab


def nested(levels: int) -> bytes:
    return (
        json.dumps(order("ann", data={}))
        .encode()
        .replace(b'"data": {}', b'"data": {"a": ' + b"[" * levels + b"]" * levels + b"}")
    )


RUBBISH: dict[str, tuple[Any, str]] = {
    "no bytes": (b"", "bad_json"),
    "undecodable bytes": (b"\x00\x01\x02\x03", "bad_json"),
    "bad UTF-8": (b'{"user_id": "\xff\xfe"}', "bad_utf8"),
    "null value": (None, "null_value"),
    "wrong type": (order("ann", ttl_seconds="60"), "invalid"),
    "unknown field": (order("ann", subject="hello"), "invalid"),
    "naive time": (order("ann", send_at="2026-03-01T12:00:00"), "invalid"),
    "both TTL forms": (order("ann", ttl_seconds=60, expires_at=NOW), "invalid"),
    "NUL": (order("ann", data={"order_id": "\0"}), "invalid"),
    "deep nesting": (nested(17), "too_deep"),
    "very deep nesting": (nested(300_000), "too_deep"),
    "800 KB": (order("ann", data={"text": "x" * 800 * 1024}), "too_large"),
}


async def test_rubbish_in_the_middle_of_a_partition_is_a_dead_letter_each_and_its_neighbours_go_on(
    opened: Pipeline,
) -> None:
    user_id = "neighbour"
    partition = partition_of(user_id, PARTITIONS)
    bad: dict[Place, tuple[bytes | None, str]] = {}
    for number, (said, cause) in enumerate(RUBBISH.values()):
        await write(opened, NORMAL, order(user_id, f"neighbour-{number}", metadata={"n": number}))
        value = json.dumps(said).encode() if isinstance(said, dict) else said
        bad[await write(opened, NORMAL, value, partition=partition)] = value, cause

    receipts = await told(opened, user_id, lambda all_: len(of_status(all_, "sent")) == len(bad))
    letters = await letters_at(opened, list(bad))

    for place, (value, cause) in bad.items():
        letter = letters[place]
        assert (letter.stage, letter.cause, letter.replayable) == ("decide", cause, False)
        assert letter.value_bytes == len(value or b"")
        if cause == "too_large":
            assert (letter.value, letter.is_cut) == (None, True)
            assert letter.value_sha256 == hashlib.sha256(value or b"").hexdigest()
        elif cause != "too_deep":
            assert letter.value == value
    for status in ("queued", "sent"):
        numbers = [each.metadata["n"] for each in of_status(receipts, status)]
        assert numbers == list(range(len(RUBBISH))), f"{status} once each, and in order"


async def test_more_rubbish_than_a_queue_and_a_transaction_take_ends_nobody_and_loses_nothing(
    opened: Pipeline,
) -> None:
    large = b"rubbish " * 25_000
    headers: Headers = (("h", b"x" * 15_000),)

    places = [await write(opened, NORMAL, large, headers=headers) for _ in range(60)]
    many = [await write(opened, NORMAL, b"{", headers=headers) for _ in range(600)]

    letters = await letters_at(opened, [*places, *many])
    assert {each.value for each in letters.values()} == {large, b"{"}
    assert all(worker.poll() is None for worker in opened.workers.values())


async def test_ten_megabytes_are_refused_at_the_producer_or_become_a_dead_letter_without_bytes(
    opened: Pipeline,
) -> None:
    value = json.dumps(order("large", data={"text": "x" * 10 * MEGABYTE})).encode()
    topic = opened.config.kafka.names.physical(NORMAL)
    connection = opened.config.kafka.connection()

    # By the client's own bound, and where that was raised by the broker's.
    with pytest.raises(MessageSizeTooLargeError):
        await opened.append(NORMAL, value, partition=0)
    async with AIOKafkaProducer(**connection, max_request_size=20 * MEGABYTE) as plain:
        with pytest.raises(MessageSizeTooLargeError):
            await plain.send_and_wait(topic, value, partition=0)
    # Compressed it is small, and nobody looks inside before we do.
    async with AIOKafkaProducer(
        **connection, max_request_size=20 * MEGABYTE, compression_type="gzip"
    ) as compressing:
        at = await compressing.send_and_wait(topic, value, partition=0)

    (letter,) = (await letters_at(opened, [Place(NORMAL, 0, at.offset)])).values()
    assert (letter.cause, letter.value, letter.is_cut) == ("too_large", None, True)
    assert letter.detail == f"{len(value)} bytes, at most {768 * 1024}"
    assert letter.value_bytes == len(value)
    assert letter.value_sha256 == hashlib.sha256(value).hexdigest()


async def test_a_header_whose_name_is_no_text_changes_nothing(opened: Pipeline) -> None:
    user_id = "raw-header"
    partition = partition_of(user_id, PARTITIONS)
    good = json.dumps(order(user_id)).encode()
    async with AIOKafkaProducer(**opened.config.kafka.connection()) as producer:
        at = await append_raw(
            producer,
            opened.config.kafka.names.physical(NORMAL),
            partition,
            [
                (good, [(b"\xff\xfe", b"1"), (b"none", None), (b"traceparent", TRACE.encode())]),
                (b"rubbish", [(b"\xff\xfe", b"2"), (b"none", None)]),
                (good, []),
            ],
        )

    receipts = await told(opened, user_id, lambda all_: len(of_status(all_, "sent")) == 2)
    (letter,) = (await letters_at(opened, [Place(NORMAL, partition, at.offset + 1)])).values()
    assert [each.traceparent for each in of_status(receipts, "sent")] == [TRACE, ""]
    assert letter.headers == [("\\xff\\xfe", b"2"), ("none", b"")]


async def test_a_misplaced_record_is_forwarded_once_and_decided_as_where_it_was_written(
    opened: Pipeline,
) -> None:
    before = forwarded_so_far(opened, NORMAL)
    users = [f"crc32-{number}" for number in range(40)]
    by_crc32 = {user_id: zlib.crc32(user_id.encode()) % PARTITIONS for user_id in users}
    misplaced = {user for user, at in by_crc32.items() if at != partition_of(user, PARTITIONS)}

    places = {
        user_id: await write(
            opened, NORMAL, order(user_id), partition=partition, key=user_id.encode(),
            headers=(("traceparent", TRACE.encode()), ("origin-offset", b"made up")),
        )
        for user_id, partition in by_crc32.items()
    }  # fmt: skip

    assert 10 < len(misplaced) < 40
    for user_id in places:
        receipts = await told(opened, user_id, lambda all_: bool(of_status(all_, "sent")))
        assert [each.status for each in receipts] == ["queued", "sent"]
        assert {each.traceparent for each in receipts} == {TRACE}
    assert forwarded_so_far(opened, NORMAL) - before == len(misplaced)
    sent_on = {
        json.loads(record.value)["user_id"]: (record.partition, dict(record.headers))
        for record in await forwarded_records(opened, NORMAL)
    }
    assert misplaced == sent_on.keys() & set(users)
    for user_id in misplaced:
        partition, headers = sent_on[user_id]
        place = places[user_id]
        assert partition == partition_of(user_id, PARTITIONS)
        assert headers["origin-topic"] == NORMAL.encode()
        assert headers["origin-partition"] == b"%d" % place.partition
        assert headers["origin-offset"] == b"%d" % place.offset


async def test_a_request_without_a_key_written_twice_by_two_hashes_is_decided_once(
    opened: Pipeline,
) -> None:
    user_id = "keyless"
    home = partition_of(user_id, PARTITIONS)

    for partition in (home, *range(PARTITIONS)):
        await write(opened, NORMAL, order(user_id, "the-same"), partition=partition)

    receipts = await told(
        opened, user_id, lambda all_: len(of_status(all_, "duplicate")) == PARTITIONS
    )
    assert len(of_status(receipts, "sent")) == 1
    assert all(each.kind == "request" for each in of_status(receipts, "duplicate"))


async def test_what_a_request_asks_for_in_vain_is_rejected_and_its_other_channels_go_on(
    opened: Pipeline,
) -> None:
    asked: dict[str, dict[str, Any]] = {
        "vain-type": {"type": "unheard_of", "channels": None},
        "vain-channel": {"type": "friend_joined", "channels": ["sms", "in_app"],
                         "data": {"friend": "Noor"}},
        "vain-address": {"channels": ["email", "push", "in_app"]},
    }  # fmt: skip
    for user_id, fields in asked.items():
        trace: Headers = (("traceparent", TRACE.encode()),)
        await write(opened, NORMAL, order(user_id, **fields), headers=trace)

    def rejected(receipts: list[Receipt]) -> list[tuple[str, str, str]]:
        return [(each.kind, each.channel, each.reason) for each in of_status(receipts, "rejected")]

    (unknown,) = await told(opened, "vain-type", bool)
    assert rejected([unknown]) == [("request", "", "unknown_type")]
    assert unknown.traceparent == TRACE
    channel = await told(opened, "vain-channel", lambda all_: len(all_) == 3)
    assert rejected(channel) == [("delivery", "sms", "channel_not_in_type")]
    address = await told(opened, "vain-address", lambda all_: len(all_) == 4)
    assert rejected(address) == [
        ("delivery", "email", "no_address"),
        ("delivery", "push", "no_address"),
    ]
    for receipts in (channel, address):
        assert [each.channel for each in of_status(receipts, "sent")] == ["in_app"]


@pytest.mark.parametrize(
    "bad",
    [
        {"change": "recipient_updated", "timezone": "Mars/Olympus_Mons"},
        {"change": "recipient_updated", "phone": "555-0100"},
        {"change": "recipient_updated", "phone": "+1 415 555 01000000000"},
        {"change": "recipient_updated", "email": "ann at example.org"},
        {"change": "recipient_updated", "email": "new@example.org", "phone": "call me"},
        {"change": "preferences_updated", "preferences": {"email": {"quiet_hours": "23-7"}}},
        {"change": "preferences_updated",
         "preferences": {"email": {"enabled": False, "quiet_hours": "07:00-07:00"}}},
        {"change": "device_registered", "device_id": "d", "token": "a b", "platform": "ios"},
        {"change": "moved_house", "email": "new@example.org"},
    ],
    ids=lambda bad: "-".join(map(str, bad.values()))[:40],
)  # fmt: skip
async def test_a_change_with_a_fault_is_a_dead_letter_and_what_was_known_still_holds(
    opened: Pipeline, bad: dict[str, Any]
) -> None:
    user_id = f"known-{hashlib.sha256(repr(bad).encode()).hexdigest()[:8]}"
    mailbox = f"{user_id}@example.org"
    known = change(user_id, "recipient_updated", email=mailbox, timezone="Europe/Berlin")
    await write(opened, topics.RECIPIENTS_CHANGED, known)

    place = await write(opened, topics.RECIPIENTS_CHANGED, change(user_id, "") | bad)
    (letter,) = (await letters_at(opened, [place])).values()
    await write(opened, NORMAL, order(user_id, channels=["email"]))

    assert (letter.stage, letter.cause) == ("keep_recipients", "invalid")
    (sent,) = of_status(
        await told(opened, user_id, lambda all_: bool(of_status(all_, "sent"))), "sent"
    )
    reached = {each.delivery_id: each.address for each in read_ledger(opened.sandbox.ledger_dir)}
    assert reached[sent.delivery_id] == mailbox


async def test_another_body_under_the_same_key_is_a_conflict_that_leaves_the_first_alone(
    opened: Pipeline,
) -> None:
    user_id = "conflict"
    first = order(user_id, "k", channels=["email"], recipient={"email": "first@example.org"})
    await write(opened, NORMAL, first)
    others: list[dict[str, Any]] = [
        {"data": {"order_id": "8", "total": "1 EUR"}},
        {"channels": ["in_app"]},
        {"type": "security_alert"},
    ]
    same: list[dict[str, Any]] = [
        {"send_at": "2027-03-01T12:00:00Z"}, {"ttl_seconds": 60}, {"requested_at": NOW},
    ]  # fmt: skip

    for fields in (*others, *same):
        await write(opened, NORMAL, first | fields)

    receipts = await told(opened, user_id, lambda all_: len(all_) == 8)
    assert [each.reason for each in of_status(receipts, "rejected")] == ["idempotency_conflict"] * 3
    assert len(of_status(receipts, "duplicate")) == 3
    (sent,) = of_status(receipts, "sent")
    assert {each.notification_id for each in receipts} == {sent.notification_id}
    assert opened.latest()[sent.delivery_id, ""].status == "sent"
    assert opened.accepted()[sent.delivery_id] == 1


async def test_the_version_that_a_record_says_decides_about_fields_nobody_knows(
    opened: Pipeline,
) -> None:
    def ignored() -> float:
        name = f'postrider_ignored_fields_total{{role="decide",slot="0",topic="{NORMAL}"}}'
        return opened.metrics("decide").get(name, 0.0)

    before = ignored()
    newer = order("newer", priority_hint=1, colour="red")
    causes = {
        await write(opened, NORMAL, newer): "invalid",
        await write(opened, NORMAL, newer, headers=(("schema-version", b"1.0"),)): "invalid",
        await write(
            opened, NORMAL, order("newer"), headers=(("schema-version", b"2.0"),)
        ): "unknown_schema_version",
        await write(
            opened, NORMAL, order("newer"), headers=(("schema-version", b"one"),)
        ): "unknown_schema_version",
    }
    await write(opened, NORMAL, newer, headers=(("schema-version", b"1.7"),))

    letters = await letters_at(opened, list(causes))
    assert {place: letter.cause for place, letter in letters.items()} == causes
    receipts = await told(opened, "newer", lambda all_: bool(of_status(all_, "sent")))
    assert [each.status for each in receipts] == ["queued", "sent"]
    assert ignored() - before == 2


async def test_a_cloud_event_is_deduplicated_by_its_source_and_id(opened: Pipeline) -> None:
    user_id = "cloud"

    def event(source: bytes, id_: bytes) -> Headers:
        return (("ce_specversion", b"1.0"), ("ce_source", source), ("ce_id", id_))

    for headers in (event(b"/shop", b"1"), event(b"/shop", b"1"), event(b"/bank", b"1"), ()):
        await write(opened, NORMAL, order(user_id), headers=headers)
    unreadable = await write(opened, NORMAL, order(user_id), headers=event(b"/shop", b"\xff"))

    receipts = await told(opened, user_id, lambda all_: len(of_status(all_, "sent")) == 3)
    (again,) = of_status(receipts, "duplicate")
    assert again.notification_id == of_status(receipts, "queued")[0].notification_id
    (letter,) = (await letters_at(opened, [unreadable])).values()
    assert letter.cause == "bad_utf8"


async def test_a_topic_that_is_kept_for_some_tenants_rejects_all_others(opened: Pipeline) -> None:
    user_id = "customer"
    home = partition_of(user_id, PARTITIONS)

    for tenant in ("bakery", "butcher", None):
        said = order(user_id, "k", tenant=tenant)
        await write(opened, FOR_SHOPS, said)
        # A forwarded record is judged by the topic it was written to.
        elsewhere = (home + 1) % PARTITIONS
        await write(opened, FOR_SHOPS, said | {"idempotency_key": "k2"}, partition=elsewhere)
    await told(opened, user_id, lambda all_: len(of_status(all_, "rejected")) == 4)
    await write(opened, NORMAL, order(user_id, "k", tenant="butcher"))

    receipts = await told(opened, user_id, lambda all_: len(of_status(all_, "sent")) == 3)
    rejected = of_status(receipts, "rejected")
    assert {each.reason for each in rejected} == {"tenant_not_allowed"}
    assert sorted(each.tenant for each in rejected) == ["", "", "butcher", "butcher"]
    # What was rejected was not remembered: the butcher's own key is still new elsewhere.
    assert sorted(each.tenant for each in of_status(receipts, "sent")) == [
        "bakery", "bakery", "butcher",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "stage", "key", "more"),
    [
        (topics.BROADCASTS_REQUESTED, "accept_broadcast", None, [
            {"type": "friend_joined"},
            {"type": "friend_joined", "audience": "all", "user_ids": ["ann"]},
            {"type": "friend_joined", "user_ids": ["ann", "ann"]},
            {"type": "friend_joined", "audience": "all", "max_per_second": 0},
        ]),
        (topics.RECIPIENTS_CHANGED, "keep_recipients", None, [
            {"user_id": "ann"},
            {"user_id": "ann", "change": "recipient_deleted", "source": "user",
             "occurred_at": "2026-11-24T12:00:00"},
        ]),
        (topics.NOTIFICATIONS_CANCELLED, "proofread", None, [
            {},
            {"notification_id": "not-an-id"},
            {"user_id": "ann"},
        ]),
        (topics.CONTROLS, "proofread", b"channel:in_app", [
            {"action": "pause", "scope": "channel", "name": "in_app"},
            {"action": "pause", "scope": "everything", "name": "in_app", "occurred_at": NOW},
            {"action": "pause", "scope": "channel", "name": "sms", "occurred_at": NOW},
        ]),
    ],
)  # fmt: skip
async def test_rubbish_on_any_other_public_topic_is_a_dead_letter_each(
    opened: Pipeline, topic: str, stage: str, key: bytes | None, more: list[dict[str, Any]]
) -> None:
    said: list[Any] = [b"", b"\xff", b"[", b"null", {"unheard": "of"}, *more]

    places = [await write(opened, topic, each, partition=0, key=key) for each in said]
    if topic != topics.CONTROLS:  # there it ends a pause
        places.append(await write(opened, topic, None, partition=0))

    letters = await letters_at(opened, places)
    assert {each.stage for each in letters.values()} == {stage}
    assert all(each.detail for each in letters.values())
    await write(opened, NORMAL, order(f"after-{topic}"))
    await told(opened, f"after-{topic}", lambda all_: bool(of_status(all_, "sent")))


async def test_a_broadcast_that_asks_in_vain_is_rejected_with_its_traceparent(
    opened: Pipeline,
) -> None:
    said = {"type": "unheard_of", "audience": "all", "idempotency_key": "in-vain"}
    await write(
        opened, topics.BROADCASTS_REQUESTED, said, headers=(("traceparent", TRACE.encode()),)
    )
    expected = ids.to_text(ids.broadcast_id("", "in-vain"))

    def found() -> list[Receipt]:
        return [each for each in opened.receipts if each.broadcast_id == expected]

    assert await opened.until(lambda: bool(found()), within_seconds=SECONDS)
    (receipt,) = found()
    assert (receipt.status, receipt.reason) == ("rejected", "unknown_type")
    assert receipt.traceparent == TRACE


async def test_rubbish_that_nobody_thought_of_ends_nobody_and_each_record_has_an_answer(
    opened: Pipeline,
) -> None:
    for number in range(USERS):
        user_id = f"user-{number}"
        for said in (
            change(user_id, "recipient_updated", email=f"{user_id}@example.org"),
            change(
                user_id, "device_registered", device_id="d", token=f"t-{number}", platform="ios"
            ),
            change(user_id, "audience_joined", audience="fans"),
        ):
            await write(opened, topics.RECIPIENTS_CHANGED, said)
    paused: set[tuple[int, bytes]] = set()

    for topic, count in FUZZ.items():
        for each in records(topic, count, seed=1, partitions=PARTITIONS):
            await opened.append(
                topic, each.value, partition=each.partition, key=each.key, headers=each.headers
            )
            if topic == topics.CONTROLS and each.key is not None:
                paused.add((each.partition, each.key))
    for partition, key in paused:
        await opened.append(topics.CONTROLS, None, partition=partition, key=key)
    await at_rest(opened)

    balance = await reconcile(opened.config)
    assert balance.holds, balance.lines()
    for role in ROLES:
        errors = [name for name in opened.metrics(role) if "stage_errors_total" in name]
        assert not errors, f"a stage of {role} raised: {errors}"
