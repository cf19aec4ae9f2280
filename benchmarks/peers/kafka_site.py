"""What peers on Kafka have in common: a broadcast is a record a thousand members, all of a partition."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.peers.people import slices
from benchmarks.peers.site import OwnWorker, name_of
from benchmarks.whole.lab import PARTITIONS
from sandbox.process import SandboxProcess
from streams.embedded_kafka import EmbeddedKafka

BROADCASTS, RECEIPTS = "broadcasts", "receipts"


class KafkaSite(OwnWorker):
    """Neither the loop nor the one processor fans out: that is done for them, and not counted."""

    group: str

    def __init__(
        self, folder: Path, sandbox: SandboxProcess, kafka: EmbeddedKafka, people: int
    ) -> None:
        super().__init__(folder, sandbox)
        self.broker_pid = kafka.pid or 0
        self._bootstrap = kafka.bootstrap
        self._slices: Sequence[tuple[int, Sequence[str]]] = list(slices(people))
        self.producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, acks="all", linger_ms=2, max_request_size=2 << 20
        )
        self._asking = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)

    @property
    def broker(self) -> str:
        return self._bootstrap

    async def request(self, number: int) -> float:
        records = [
            (partition, msgspec.json.encode({"broadcast": name_of(number), "user_ids": users}))
            for partition, users in self._slices
        ]
        began = time.monotonic()
        for partition, value in records:
            await self.producer.send(BROADCASTS, value, partition=partition)
        await self.producer.flush()
        return began

    async def told(self) -> int:
        ends = await self._ends(RECEIPTS)
        return sum(ends.values())

    async def is_idle(self) -> bool:
        return await self.has_read(BROADCASTS)

    async def has_read(self, topic: str) -> bool:
        """All of it, as its committed offsets say."""
        done = await self._admin.list_consumer_group_offsets(self.group)
        ends = await self._ends(topic)
        return all(
            place in done and done[place].offset >= end for place, end in ends.items() if end
        )

    async def _ends(self, topic: str) -> dict[TopicPartition, int]:
        places = [TopicPartition(topic, each) for each in range(PARTITIONS)]
        ends: dict[TopicPartition, int] = await self._asking.end_offsets(places)
        return ends

    @contextlib.asynccontextmanager
    async def connected(self, *topics: str) -> AsyncIterator[None]:
        """Inside, topics exist and the harness can ask."""
        async with contextlib.AsyncExitStack() as stack:
            await self._admin.start()
            stack.push_async_callback(self._admin.close)
            names = (BROADCASTS, RECEIPTS, *topics)
            await self._admin.create_topics(
                [NewTopic(each, num_partitions=PARTITIONS, replication_factor=1) for each in names]
            )
            for client in (self.producer, self._asking):
                await client.start()
                stack.push_async_callback(client.stop)
            yield
