"""Tails on a real Kafka: an open transaction hides no stop, a broker that is away ends nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin import RecordsToDelete

from schemas.kafka import InboundRecord, TopicPartition
from streams.embedded_kafka import EmbeddedKafka
from streams.engine.gaps import SourceRecreated
from streams.tail_reader import KafkaTailReader
from tests.doubles.never import never
from tests.integration.streams.desk import OUT, Desk, transaction
from tests.integration.streams.kafka_proxy import FETCH, HeldRequest, KafkaProxy

PLACE = TopicPartition(OUT, 0)
OnLost = Callable[[TopicPartition, int, int], None]


def tail_of(desk: Desk, on_lost: OnLost = never, **connection: Any) -> KafkaTailReader:
    return KafkaTailReader(
        topics=[OUT],
        partitions=1,
        names=desk.names,
        connection={**desk.connection, "request_timeout_ms": 500, **connection},
        patience=desk.patience,
        on_lost=on_lost,
    )


@pytest.fixture
async def reader(desk: Desk) -> AsyncIterator[KafkaTailReader]:
    opened = tail_of(desk)
    await opened.start()
    yield opened
    await opened.close()


async def read_past(reader: KafkaTailReader, end: int) -> list[InboundRecord]:
    found: list[InboundRecord] = []
    while reader.position(PLACE) < end:
        found += await reader.read()
    return found


@asynccontextmanager
async def held_tail(
    desk: Desk, *, read: int = 0, on_lost: OnLost = never
) -> AsyncIterator[tuple[KafkaTailReader, HeldRequest]]:
    """A tail that has read so far, and its next fetch, which the broker has not seen yet."""
    async with KafkaProxy(desk.bootstrap) as proxy:
        patient = {"bootstrap_servers": proxy.bootstrap, "request_timeout_ms": 30_000}
        tail = tail_of(desk, on_lost, **patient)
        await tail.start()
        await read_past(tail, read)
        proxy.hold(FETCH)
        yield tail, await proxy.held()
        await tail.close()


async def test_a_tail_begins_at_the_beginning_and_knows_when_it_is_at_the_end(
    desk: Desk, reader: KafkaTailReader
) -> None:
    log = await desk.log()
    await log.commit(transaction(out=(b"one", b"two")))
    # Two records, and the marker of their transaction, which a broker writes in its own time.
    while (end := (await reader.ends())[PLACE]) < 3:
        assert end == 2

    found = await read_past(reader, end)

    assert [(record.topic, record.value) for record in found] == [(OUT, b"one"), (OUT, b"two")]


async def test_an_open_transaction_is_before_the_end_and_is_not_read(
    desk: Desk, reader: KafkaTailReader
) -> None:
    async with desk.producer() as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(desk.names.physical(OUT), b"open", partition=0)

        assert (await reader.ends())[PLACE] == 1
        assert await reader.read() == []
        assert await reader.read() == []
        assert reader.position(PLACE) == 0, "calls are held back: it may be an opt-out"

        await producer.commit_transaction()
        assert [record.value for record in await read_past(reader, 2)] == [b"open"]


async def test_what_was_aborted_is_passed_and_never_read(
    desk: Desk, reader: KafkaTailReader
) -> None:
    async with desk.producer() as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(desk.names.physical(OUT), b"aborted", partition=0)
        await producer.abort_transaction()

    assert await read_past(reader, 2) == []


async def test_a_broker_that_is_away_is_waited_out(
    desk: Desk, reader: KafkaTailReader, kafka: EmbeddedKafka
) -> None:
    log = await desk.log()
    await reader.ends()
    kafka.pause()
    try:
        asking = asyncio.create_task(reader.ends())
        reading = asyncio.create_task(read_past(reader, 2))
        done, _ = await asyncio.wait([asking, reading], timeout=1.2)  # the request's is 0.5
        assert not done
    finally:
        kafka.resume()
    await log.commit(transaction(out=(b"after",)))

    await asking
    assert [record.value for record in await reading] == [b"after"]


async def test_what_retention_removed_before_a_tail_read_it_is_told_and_the_rest_is_read(
    desk: Desk,
) -> None:
    lost: list[tuple[TopicPartition, int, int]] = []
    async with held_tail(desk, on_lost=lambda *told: lost.append(told)) as (tail, fetching):
        log = await desk.log()
        await log.commit(transaction(out=(b"0", b"1", b"2")))
        await desk.admin.delete_records({desk.place(OUT): RecordsToDelete(2)})
        await fetching.answer()

        assert [record.value for record in await read_past(tail, 4)] == [b"2"]

    assert lost == [(PLACE, 0, 2)]


async def test_a_tail_of_a_topic_that_was_made_anew_ends_the_process(desk: Desk) -> None:
    log = await desk.log()
    await log.commit(transaction(out=(b"0", b"1", b"2")))
    async with held_tail(desk, read=4) as (tail, fetching):
        await desk.admin.delete_topics([desk.names.physical(OUT)])
        await desk.create(OUT)
        await fetching.answer()

        with pytest.raises(SourceRecreated, match=f"{OUT}:0 ends at 0, below 4"):
            await read_past(tail, 5)


async def test_a_tail_that_never_began_or_still_waits_can_be_closed(
    desk: Desk, unused_tcp_port: int
) -> None:
    await tail_of(desk).close()
    waiting = tail_of(desk, bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")
    starting = asyncio.create_task(waiting.start())
    await desk.said.next()

    starting.cancel()
    await asyncio.wait([starting])

    await waiting.close()
