"""Each change to aiokafka: what upstream does without it, and that it still does what it must.

A test that fails on "upstream" after an upgrade says that the patch is needless.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer, codec
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaError,
)
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.group import JoinGroupRequest
from aiokafka.record._crecords import default_records

from streams import kafka_patches
from streams.batches import batches_of
from streams.embedded_kafka import EmbeddedKafka
from tests.integration.streams.desk import OUT, Desk
from tests.integration.streams.kafka_proxy import (
    JOIN_GROUP,
    KafkaProxy,
)

_BATCH_HEAD_BYTES = 61

PATCHED: tuple[tuple[Any, str], ...] = (
    (AIOKafkaConnection, "send"),
    (AIOKafkaClient, "_get_conn"),
    (AIOKafkaClient, "coordinator_lookup"),
    (AIOKafkaClient, "_md_synchronizer"),
    (Fetcher, "fetched_records"),
    (default_records, "zstd_encode"),
)


@pytest.fixture(autouse=True)
def _upstream_afterwards() -> Iterator[None]:
    originals = [(owner, name, getattr(owner, name)) for owner, name in PATCHED]
    yield
    for owner, name, original in originals:
        setattr(owner, name, original)


def test_a_write_to_a_connection_that_was_just_reset_is_a_broken_connection(
    kafka: EmbeddedKafka,
) -> None:
    host, port = kafka.bootstrap.split(":")

    async def write_after_a_reset() -> None:
        connection = await create_conn(host, int(port))
        connection._writer.transport.abort()
        await asyncio.sleep(0)  # the transport knows now, and its reader will in its next turn
        try:
            await connection.send(ApiVersionRequest())
        finally:
            await connection.close()

    with pytest.raises(RuntimeError, match="the handler is closed"):  # upstream
        uvloop.run(write_after_a_reset())

    kafka_patches.take_a_reset_for_a_broken_connection()

    with pytest.raises(KafkaConnectionError):
        uvloop.run(write_after_a_reset())


@asynccontextmanager
async def _client(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, **options)
    await client.bootstrap()
    try:
        yield client
        await client.force_metadata_update()  # closed while it connects it leaves a socket open
    finally:
        await client.close()


async def _connects_in_vain(client: AIOKafkaClient) -> int:
    """In half a second."""
    until, count = time.monotonic() + 0.5, 0
    while time.monotonic() < until:
        assert not await client.ready(1)
        count += 1
    return count


async def test_a_broker_that_refuses_is_not_asked_a_hundred_times_a_second(
    desk: Desk, unused_tcp_port: int
) -> None:
    async with _client(desk.bootstrap) as client:
        (broker,) = client.cluster.brokers()
        away = broker._replace(port=unused_tcp_port)
        client.cluster._brokers = {1: away}
        assert await _connects_in_vain(client) > 10, "upstream"

        kafka_patches.wait_between_connects()

        assert await _connects_in_vain(client) <= 3


async def _coordinator_beside_one_that_hangs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> int:
    """As a client finds it that would have asked the broker that hangs."""
    held: list[asyncio.StreamWriter] = []

    def answer_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    hung = await asyncio.start_server(answer_nothing, "127.0.0.1", 0)
    try:
        async with _client(desk.bootstrap, request_timeout_ms=1000) as client:
            (broker,) = client.cluster.brokers()
            port = hung.sockets[0].getsockname()[1]
            client.cluster._brokers[2] = broker._replace(nodeId=2, port=port)
            monkeypatch.setattr(client, "get_random_node", lambda: 2)
            while True:
                with contextlib.suppress(GroupCoordinatorNotAvailableError):  # is yet to be made
                    found: int = await client.coordinator_lookup(CoordinationType.GROUP, "some")
                    return found
    finally:
        hung.close()
        for writer in held:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_a_coordinator_is_found_beside_a_broker_that_hangs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KafkaError):
        await _coordinator_beside_one_that_hangs(desk, monkeypatch)

    kafka_patches.ask_several_for_a_coordinator()

    assert await _coordinator_beside_one_that_hangs(desk, monkeypatch) == 1


async def _join_is_given_up(proxy: KafkaProxy) -> bool:
    """One that is answered late, by a client whose requests may take a quarter of a second."""
    async with _client(proxy.bootstrap, request_timeout_ms=250) as client:
        proxy.hold(JOIN_GROUP)
        joining = asyncio.create_task(
            client.send(1, JoinGroupRequest("g", 6000, 6000, "", "i", "consumer", []))
        )
        request = await proxy.held()
        await asyncio.wait([joining], timeout=0.75)
        is_given_up = joining.done()
        request.hang_up()
        await asyncio.wait([joining])
        assert joining.exception() is not None
        return is_given_up


async def test_a_join_waits_for_members_that_drain(desk: Desk) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        assert await _join_is_given_up(proxy), "upstream"

        kafka_patches.wait_for_rebalances(10.0)

        assert not await _join_is_given_up(proxy)


async def test_a_consumer_whose_fetcher_has_died_says_so(desk: Desk) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=desk.bootstrap)
    await consumer.start()

    def break_down(assignment: Any) -> Any:
        raise ValueError("whatever it does not expect")

    consumer._fetcher._get_actions_per_node = break_down
    consumer.assign([desk.place(OUT)])
    await asyncio.wait([consumer._fetcher.error_future])
    assert await consumer.getmany(timeout_ms=50) == {}, "upstream"

    kafka_patches.tell_of_a_dead_fetcher()

    with pytest.raises(kafka_patches.FetchingEnded):
        await consumer.getmany(timeout_ms=50)
    with contextlib.suppress(KafkaError):  # it cannot be stopped either
        await consumer.stop()
    await consumer._client.close()


class _WithoutThreads(AIOKafkaClient):  # type: ignore[misc]  # which has no types
    async def _get_conn(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("can't start new thread")


async def _is_refreshed(bootstrap: str) -> bool:
    """Whether somebody who waits for metadata hears anything."""
    client = _WithoutThreads(bootstrap_servers=bootstrap)
    await client.bootstrap()
    done, _ = await asyncio.wait([client.force_metadata_update()], timeout=0.5)
    with pytest.raises(RuntimeError, match="new thread"):
        await client.close()
    return bool(done)


async def test_a_client_whose_metadata_are_refreshed_no_more_ends_the_process(desk: Desk) -> None:
    deaths: list[BaseException] = []
    assert not await _is_refreshed(desk.bootstrap), "upstream"

    kafka_patches.tell_of_dead_metadata(deaths.append)

    assert not await _is_refreshed(desk.bootstrap), "nor could it be: the process has ended"
    assert [str(death) for death in deaths] == ["can't start new thread"]


def test_batches_are_compressed_at_the_quickest_level() -> None:
    texts = [f"user {number} got mail {number * number}".encode() for number in range(1000)]

    def compressed() -> bytes:
        (batch,) = batches_of([(None, text, ()) for text in texts])
        return batch.build(1, 0, 0)[_BATCH_HEAD_BYTES:]

    records = codec.zstd_decode(compressed())
    assert compressed() == codec.zstd_encode(records, 3), "upstream"

    kafka_patches.compress_quickly()

    assert compressed() == codec.zstd_encode(records, 1)
