"""Topics on a real cluster: created once, compared, required."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas import topics
from streams.config_errors import ConfigurationRefused
from streams.config_kafka import KafkaSettings
from streams.config_shape import KafkaShape
from streams.embedded_kafka import EmbeddedKafka
from streams.names import Names
from streams.patience import Patience, Tell, into_log
from streams.reaching import reach
from streams.topic_admin import TopicAdmin, require
from streams.topic_check import Difference
from streams.topics import Layout
from streams.topology import DECIDE

LAYOUT = Layout(partitions=1, replication=1, min_insync_replicas=1)


class Cluster:
    """A prefix of its own on the shared broker."""

    def __init__(self, kafka: EmbeddedKafka, client: AIOKafkaAdminClient) -> None:
        self.connection = {"bootstrap_servers": kafka.bootstrap}
        self.client = client
        self.names = Names(f"t{uuid.uuid4().hex[:8]}.")

    async def require(
        self, layout: Layout = LAYOUT, *, at: str = "", tell: Tell = into_log
    ) -> list[Difference]:
        """What a worker of `decide` would, at this address."""
        servers = at or self.connection["bootstrap_servers"]
        shape = KafkaShape(bootstrap=servers, topic_prefix=self.names.prefix)
        kafka = KafkaSettings(shape, Path())
        patience = Patience(partial(reach, kafka), tell)
        return await require(kafka, role=DECIDE, layout=layout, patience=patience)

    def admin(self, layout: Layout = LAYOUT) -> TopicAdmin:
        return TopicAdmin(self.client, layout=layout, names=self.names)

    async def create_by_hand(
        self, topic: str, *, partitions: int = LAYOUT.partitions, changed: Mapping[str, str]
    ) -> None:
        (wanted,) = (each for each in LAYOUT.topics() if each.name == topic)
        settings = {**LAYOUT.settings_of(wanted), **changed}
        await self.client.create_topics(
            [NewTopic(self.names.physical(topic), partitions, 1, topic_configs=settings)]
        )


class Door:
    """An address where nobody answers until it is opened; then the broker does."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"

    def open(self) -> None:
        self._opening = asyncio.ensure_future(
            asyncio.start_server(self._pass_on, "127.0.0.1", self._port)
        )

    async def close(self) -> None:
        (await self._opening).close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._broker.split(":")
        answers, requests = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_pump(reader, requests), _pump(answers, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@pytest.fixture
async def cluster(kafka: EmbeddedKafka) -> AsyncIterator[Cluster]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await client.start()
    yield Cluster(kafka, client)
    await client.close()


async def test_created_topics_are_as_the_catalogue_says(cluster: Cluster) -> None:
    created = await cluster.admin().create()

    assert created == [cluster.names.physical(topic.name) for topic in LAYOUT.topics()]
    assert await cluster.admin().check() == []


async def test_creating_twice_creates_nothing_more(cluster: Cluster) -> None:
    await cluster.admin().create()

    assert await cluster.admin().create() == []


async def test_creating_leaves_a_topic_that_exists_as_it_is(cluster: Cluster) -> None:
    await cluster.create_by_hand(topics.RECEIPTS, partitions=3, changed={})

    await cluster.admin().create()

    (difference,) = await cluster.admin().check()
    assert difference.topic == cluster.names.physical(topics.RECEIPTS)
    assert (difference.setting, difference.found) == ("partitions", "3")


async def test_a_start_is_refused_where_topics_are_missing(cluster: Cluster) -> None:
    with pytest.raises(ConfigurationRefused, match="topic is missing"):
        await cluster.require()


async def test_a_start_is_refused_on_another_number_of_partitions(cluster: Cluster) -> None:
    await cluster.admin().create()

    with pytest.raises(ConfigurationRefused, match="partitions is 1, expected 4"):
        await cluster.require(replace(LAYOUT, partitions=4))


async def test_a_start_is_refused_on_lower_replication(cluster: Cluster) -> None:
    await cluster.admin().create()

    with pytest.raises(ConfigurationRefused, match="replication is 1, expected 3"):
        await cluster.require(replace(LAYOUT, replication=3))


async def test_a_start_bears_what_is_only_a_choice(cluster: Cluster) -> None:
    await cluster.create_by_hand(topics.RECEIPTS, changed={"retention.ms": "-1"})
    await cluster.admin().create()

    (difference,) = await cluster.require()

    assert (difference.setting, difference.found, difference.weight) == (
        "retention.ms", "-1", "note",
    )  # fmt: skip


async def test_a_broker_that_is_away_is_waited_for(cluster: Cluster) -> None:
    await cluster.admin().create()
    door = Door(cluster.connection["bootstrap_servers"])
    told: list[str | None] = []

    def come_back(seconds: float, why: str | None) -> None:
        told.append(why)
        if why is not None:
            door.open()

    differences = await cluster.require(at=door.address, tell=come_back)

    assert differences == []
    assert told == [
        f"kafka.bootstrap: no Kafka answers at {door.address} (connection refused)",
        None,
    ], "once that it waits, once that it need not"
    await door.close()
