"""The collector of the proof, on a real Kafka: it knows when it has heard all that was told, and what
inboxes hold."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from proof.checker import ledgers
from proof.checker.contents import hash_of
from proof.checker.evidence import Meta, Receipt, Shown
from proof.collector import Collector
from schemas import topics
from streams.embedded_kafka import EmbeddedKafka
from streams.names import Names, changelog
from tables import inbox
from tables.state import Kind

INBOXES = changelog("in_app", Kind.DURABLE)


async def test_what_is_committed_is_read_to_its_end_and_what_is_queued_stays_open(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    told = [_receipt(*each) for each in (("ann", "queued"), ("bob", "queued"), ("ann", "sent"))]

    collector = await _read(kafka, tmp_path, topics.RECEIPTS, [(each, None) for each in told])

    assert collector.open_deliveries == 1
    assert len(list(ledgers.receipts_in(tmp_path, ledgers.shard_of("ann")))) == 2


async def test_what_is_told_late_of_a_delivery_that_has_ended_does_not_open_it_again(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    """As it is when the transaction that began it was torn."""
    told = [_receipt("ann", status) for status in ("sent", "queued")]

    collector = await _read(kafka, tmp_path, topics.RECEIPTS, [(each, None) for each in told])

    assert collector.open_deliveries == 0


async def test_what_is_put_into_inboxes_is_read_from_what_is_kept_of_them(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    delivery_id = uuid.uuid4()
    message = inbox.Message(bytes(16), delivery_id.bytes, "news", "7", "7", {}, 0, 9)
    rows = inbox.add("ann", 3, [message])

    await _read(kafka, tmp_path, INBOXES, [(row.value, row.key) for row in rows])

    shown = Shown("ann", str(delivery_id), hash_of("in_app", "7"))
    assert ledgers.shown_in(tmp_path, ledgers.shard_of("ann")) == [shown]


async def _read(
    kafka: EmbeddedKafka,
    folder: Path,
    topic: str,
    records: Sequence[tuple[bytes | None, bytes | None]],
) -> Collector:
    """A collector that has read these values, by their keys, to their end."""
    names = Names(f"c{uuid.uuid4().hex[:8]}.")
    connection = {"bootstrap_servers": kafka.bootstrap}
    await _create(names, kafka)
    async with AIOKafkaProducer(**connection) as producer:
        for value, key in records:
            await producer.send_and_wait(names.physical(topic), value, key)
    collector = Collector(connection, names=names, folder=folder)
    await collector.start()
    try:
        async with asyncio.timeout(30):
            while not await collector.has_read_all():  # noqa: ASYNC110  the broker tells nobody
                await asyncio.sleep(0.05)
    finally:
        await collector.stop()
    return collector


async def _create(names: Names, kafka: EmbeddedKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        told = (names.physical(each) for each in (topics.RECEIPTS, topics.DEAD_LETTERS, INBOXES))
        await admin.create_topics([NewTopic(each, 1, 1) for each in told])
    finally:
        await admin.close()


def _receipt(user: str, status: str) -> bytes:
    return msgspec.json.encode(
        Receipt(
            receipt_id=f"{user}-{status}", delivery_id=user, user_id=user, channel="email",
            status=status, occurred_at="2026-01-01T12:00:00.000Z", metadata=Meta(0),
        )
    )  # fmt: skip
