"""A consumer whose fetches are told as changes reads from a real Kafka what any other reads."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from policies.clock import SystemClock
from streams.fetch_sessions import SessionClient
from tests.integration.streams.desk import OUT, Desk

BUSY, QUIET = OUT, "receipts"


class Reader:
    """Reads two topics, and remembers how many partitions its fetches named."""

    def __init__(self, desk: Desk, consumer: AIOKafkaConsumer) -> None:
        self._desk = desk
        self.consumer = consumer
        self.named: list[int] = []
        fetcher: Any = consumer._fetcher
        client = fetcher._client
        send = client.send

        async def watched(node: int, request: Any, **options: Any) -> Any:
            if hasattr(request, "_new"):
                self.named.append(len(request._new))
            return await send(node, request, **options)

        client.send = watched
        self.sessions = fetcher._client = SessionClient(client, SystemClock())
        consumer.assign([desk.place(BUSY), desk.place(QUIET)])

    async def read(self, count: int) -> list[bytes]:
        values: list[bytes] = []
        while len(values) < count:
            for records in (await self.consumer.getmany(timeout_ms=100)).values():
                values += [record.value for record in records]
        return values

    async def is_at_the_end(self) -> bool:
        return not await self.consumer.getmany(timeout_ms=300)


@pytest.fixture
async def reader(desk: Desk) -> AsyncIterator[Reader]:
    await desk.create(QUIET)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=desk.bootstrap,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        isolation_level="read_committed",
    )
    await consumer.start()
    yield Reader(desk, consumer)
    await consumer.stop()


@pytest.fixture
async def producer(desk: Desk) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=desk.bootstrap) as producer:
        yield producer


async def test_all_is_read_once_though_fetches_name_what_has_moved(
    desk: Desk, reader: Reader, producer: AIOKafkaProducer
) -> None:
    for number in range(5):
        await producer.send_and_wait(desk.place(BUSY).topic, b"%d" % number)
        assert await reader.read(1) == [b"%d" % number]
    await producer.send_and_wait(desk.place(QUIET).topic, b"at last")
    assert await reader.read(1) == [b"at last"]

    assert await reader.is_at_the_end()
    assert max(reader.named) == 2, "all, at first"
    assert min(reader.named) == 0, "nothing, while nothing comes"


async def test_all_is_read_once_when_the_broker_forgets_the_session(
    desk: Desk, reader: Reader, producer: AIOKafkaProducer
) -> None:
    await producer.send_and_wait(desk.place(BUSY).topic, b"before")
    assert await reader.read(1) == [b"before"]

    for session in reader.sessions._sessions.values():
        session._id += 1  # of which the broker has never heard
    await producer.send_and_wait(desk.place(BUSY).topic, b"after")
    await producer.send_and_wait(desk.place(QUIET).topic, b"after")

    assert await reader.read(2) == [b"after", b"after"]
    assert await reader.is_at_the_end()


async def test_a_place_has_no_more_once_it_is_read_and_while_no_transaction_hides_anything(
    desk: Desk, reader: Reader, producer: AIOKafkaProducer
) -> None:
    def heard_ms() -> int:
        return reader.sessions.heard_ms.get(desk.place(BUSY), 0)

    assert await reader.is_at_the_end()
    began_ms = heard_ms()
    assert await reader.is_at_the_end()
    assert heard_ms() > began_ms > 0, "though the broker leaves out what is as it was"

    async with AIOKafkaProducer(bootstrap_servers=desk.bootstrap, transactional_id="t") as hiding:
        async with hiding.transaction():
            await hiding.send_and_wait(desk.place(BUSY).topic, b"hidden")
            hidden_ms = time.time() * 1000
            await producer.send_and_wait(desk.place(BUSY).topic, b"behind it")
            assert await reader.is_at_the_end()
            assert heard_ms() < hidden_ms, "somebody was told that it is there"
        assert await reader.read(2) == [b"hidden", b"behind it"]

    assert await reader.is_at_the_end()
    assert heard_ms() > hidden_ms


async def test_what_was_paused_is_read_from_where_it_was(
    desk: Desk, reader: Reader, producer: AIOKafkaProducer
) -> None:
    assert await reader.is_at_the_end()
    reader.consumer.pause(desk.place(BUSY))
    assert await reader.is_at_the_end()
    await producer.send_and_wait(desk.place(BUSY).topic, b"one")
    await producer.send_and_wait(desk.place(QUIET).topic, b"two")
    assert await reader.read(1) == [b"two"]

    reader.consumer.resume(desk.place(BUSY))

    assert await reader.read(1) == [b"one"]
