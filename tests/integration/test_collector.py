"""The collector of the proof, on a real Kafka: it knows when it has heard all that was told."""

import asyncio
import uuid
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from proof.checker import ledgers
from proof.checker.evidence import Meta, Receipt
from proof.collector import Collector
from schemas import topics
from streams.embedded_kafka import EmbeddedKafka
from streams.names import Names


async def test_what_is_committed_is_read_to_its_end_and_what_is_queued_stays_open(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    names = Names(f"c{uuid.uuid4().hex[:8]}.")
    connection = {"bootstrap_servers": kafka.bootstrap}
    await _create(names, kafka)
    collector = Collector(connection, names=names, folder=tmp_path)
    async with AIOKafkaProducer(**connection) as producer:
        receipts = names.physical(topics.RECEIPTS)
        for user, status in (("ann", "queued"), ("bob", "queued"), ("ann", "sent")):
            await producer.send_and_wait(receipts, _receipt(user, status))
    await collector.start()
    try:
        async with asyncio.timeout(30):
            while not await collector.has_read_all():  # noqa: ASYNC110  the broker tells nobody
                await asyncio.sleep(0.05)
    finally:
        await collector.stop()

    assert collector.open_deliveries == 1
    assert len(list(ledgers.receipts_in(tmp_path, ledgers.shard_of("ann")))) == 2


async def _create(names: Names, kafka: EmbeddedKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        told = (names.physical(each) for each in (topics.RECEIPTS, topics.DEAD_LETTERS))
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
