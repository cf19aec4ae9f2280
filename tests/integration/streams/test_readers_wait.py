"""Commands that read until they are stopped wait for a broker that is away, and say so."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.topics import RECEIPTS
from streams.embedded_kafka import EmbeddedKafka
from streams.lookup.run import Lookup
from streams.receipt_tail import follow
from tables.store import StoreBudget
from tests.doubles.said import Said
from tests.integration.streams.desk import Desk

NOBODY = "Kafka is not ready: KafkaTimeoutError"


def impatient(desk: Desk) -> Mapping[str, Any]:
    return {**desk.connection, "request_timeout_ms": 300}


async def until_told_of_silence(kafka: EmbeddedKafka, said: Said) -> None:
    kafka.pause()
    try:
        assert await said.next() == NOBODY
    finally:
        kafka.resume()


async def append(desk: Desk, value: bytes) -> None:
    async with desk.producer("anybody") as producer, producer.transaction():
        await producer.send_and_wait(desk.names.physical(RECEIPTS), value, partition=0)


async def test_a_tail_of_receipts_goes_on_when_the_broker_is_back(
    desk: Desk, kafka: EmbeddedKafka
) -> None:
    await desk.create(RECEIPTS)
    await append(desk, b"before")
    following = follow(
        partitions=[0],
        since_ms=0,
        names=desk.names,
        connection=impatient(desk),
        patience=desk.patience,
    )
    async with contextlib.aclosing(following):
        assert await anext(following) == b"before"
        await until_told_of_silence(kafka, desk.said)

        await append(desk, b"after")

        assert await anext(following) == b"after"


async def test_a_lookup_goes_on_when_the_broker_is_back_and_can_be_stopped_while_it_is_away(
    desk: Desk, kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    await desk.create(RECEIPTS)
    is_up_to_date = asyncio.Event()
    lookup = Lookup(
        data_dir=tmp_path,
        partitions=[0],
        names=desk.names,
        connection=impatient(desk),
        budget=StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20),
        now_ms=lambda: 0,
        on_progress=lambda progress: is_up_to_date.set(),
        say=print,
        patience=desk.patience,
    )
    running = asyncio.create_task(lookup.run())
    await is_up_to_date.wait()
    await until_told_of_silence(kafka, desk.said)
    is_up_to_date.clear()
    await asyncio.wait_for(is_up_to_date.wait(), 30)
    assert await desk.said.next() is None

    kafka.pause()
    try:
        assert await desk.said.next() == NOBODY
        running.cancel()
        await asyncio.wait_for(asyncio.wait([running]), 30)
    finally:
        kafka.resume()

    assert running.cancelled()
