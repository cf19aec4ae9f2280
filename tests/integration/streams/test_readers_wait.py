"""Commands that read until they are stopped wait for a broker that is away, and say so."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import RECEIPTS
from streams.embedded_kafka import EmbeddedKafka
from streams.lookup.run import Lookup
from streams.receipt_tail import follow
from tables.store import StoreBudget
from tests.integration.streams.desk import Desk


class Said:
    """What a command was told to tell."""

    def __init__(self) -> None:
        self.whys: list[str | None] = []
        self.something = asyncio.Event()

    def __call__(self, seconds: float, why: str | None) -> None:
        self.whys.append(why)
        self.something.set()


@pytest.fixture
def said() -> Said:
    return Said()


def impatient(desk: Desk) -> Mapping[str, Any]:
    return {**desk.connection, "request_timeout_ms": 300}


async def until_told_of_silence(kafka: EmbeddedKafka, said: Said) -> None:
    kafka.pause()
    try:
        await asyncio.wait_for(said.something.wait(), 30)
    finally:
        kafka.resume()


async def append(desk: Desk, value: bytes) -> None:
    async with desk.producer("anybody") as producer, producer.transaction():
        await producer.send_and_wait(desk.names.physical(RECEIPTS), value, partition=0)


async def test_a_tail_of_receipts_goes_on_when_the_broker_is_back(
    desk: Desk, kafka: EmbeddedKafka, said: Said
) -> None:
    await desk.create(RECEIPTS)
    await append(desk, b"before")
    following = follow(
        partitions=[0], since_ms=0, names=desk.names, connection=impatient(desk), tell=said
    )
    async with contextlib.aclosing(following):
        assert await anext(following) == b"before"
        await until_told_of_silence(kafka, said)

        await append(desk, b"after")

        assert await anext(following) == b"after"
    assert said.whys[0] == "KafkaTimeoutError"


async def test_a_lookup_goes_on_when_the_broker_is_back_and_can_be_stopped_while_it_is_away(
    desk: Desk, kafka: EmbeddedKafka, said: Said, tmp_path: Path
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
        tell=said,
    )
    running = asyncio.create_task(lookup.run())
    await is_up_to_date.wait()
    await until_told_of_silence(kafka, said)
    is_up_to_date.clear()
    await asyncio.wait_for(is_up_to_date.wait(), 30)
    assert said.whys == ["KafkaTimeoutError", None]

    said.something.clear()
    kafka.pause()
    try:
        await asyncio.wait_for(said.something.wait(), 30)
        running.cancel()
        await asyncio.wait_for(asyncio.wait([running]), 30)
    finally:
        kafka.resume()

    assert running.cancelled()
