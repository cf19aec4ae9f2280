"""The whole pipeline in real processes: `postrider worker` of every role, Kafka, the sandbox."""

import asyncio
import collections
import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sandbox.ledger import read_ledger
from sandbox.process import SandboxProcess
from schemas import topics
from schemas.ids import partition_of
from schemas.receipt import Receipt, decode_receipt
from streams.config import Config, load
from streams.demo.run import create_topics
from streams.topology import DECIDE, ROLES

PARTITIONS = 4
CONFIG = Path("faust.yaml")


class Pipeline:
    """Workers by role, on topics of their own."""

    def __init__(self, *, bootstrap: str, folder: Path) -> None:
        self.folder = folder
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP": bootstrap,
            "KAFKA_REPLICATION": "1",
            "POSTRIDER_TOPIC_PREFIX": f"p{uuid.uuid4().hex[:8]}.",
            "POSTRIDER_PARTITIONS": str(PARTITIONS),
            "POSTRIDER_SANDBOX": "on",
            "POSTRIDER_DATA": str(folder),
            "SMS_RATE": "500/s",
        }
        self.sandbox = SandboxProcess(folder / "sandbox")
        self.receipts: list[Receipt] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        await self.sandbox.start()
        self.config: Config = load(CONFIG, environment=self.environment, data_dir=self.folder)
        await create_topics(self.config)
        self.producer = AIOKafkaProducer(**self.config.kafka.connection(), acks="all")
        await self.producer.start()
        self.consumer = AIOKafkaConsumer(
            self.config.kafka.names.physical(topics.RECEIPTS),
            **self.config.kafka.connection(),
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        await self.consumer.start()
        self._tasks.append(asyncio.create_task(self._read_receipts()))
        for role in ROLES:
            self.start(role)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers.values():
            worker.kill()
            worker.wait()
        await self.producer.stop()
        await self.consumer.stop()
        await self.sandbox.stop()

    def start(self, role: str) -> None:
        log = (self.folder / f"{role}.log").open("ab")
        with log:
            self.workers[role] = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", role, "--once"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def kill(self, role: str) -> None:
        self.workers[role].kill()
        self.workers[role].wait()
        self.start(role)

    def terminate(self, role: str) -> int:
        """A clean restart; the exit code of the life that ended."""
        self.workers[role].terminate()
        code = self.workers[role].wait(40)
        self.start(role)
        return code

    async def put(self, topic: str, said: Mapping[str, Any]) -> None:
        user_id = said["user_id"]
        await self.producer.send_and_wait(
            self.config.kafka.names.physical(topic),
            json.dumps(said).encode(),
            key=user_id.encode(),
            partition=partition_of(user_id, PARTITIONS),
        )

    async def until_handled(self, topic: str, count: int) -> None:
        """Until `decide` has done so many records of a topic, by its group's offsets."""
        admin = AIOKafkaAdminClient(**self.config.kafka.connection())
        await admin.start()
        name = self.config.kafka.names.physical(topic)
        handled = 0
        try:
            while handled < count:
                await asyncio.sleep(0.2)
                with contextlib.suppress(KafkaError):  # a group that nobody has joined yet
                    group = self.config.kafka.names.group(DECIDE)
                    offsets = await admin.list_consumer_group_offsets(group)
                    handled = sum(at.offset for to, at in offsets.items() if to.topic == name)
        finally:
            await admin.close()

    async def broadcast(self, said: Mapping[str, Any]) -> None:
        name = self.config.kafka.names.physical(topics.BROADCASTS_REQUESTED)
        await self.producer.send_and_wait(name, json.dumps(said).encode(), partition=0)

    async def until(self, condition: Callable[[], bool], *, within_seconds: float) -> bool:
        """Look at the receipts until the condition holds; False when the time is over."""
        deadline = time.monotonic() + within_seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.2)
        return True

    def latest(self) -> dict[tuple[str, str], Receipt]:
        """The highest-ranked receipt of each delivery and device."""
        found: dict[tuple[str, str], Receipt] = {}
        for receipt in self.receipts:
            if receipt.kind != "delivery":
                continue
            key = (receipt.delivery_id, receipt.device_id)
            before = found.get(key) or found.get((receipt.delivery_id, ""))
            if before is None or receipt.state_rank >= before.state_rank:
                found.pop((receipt.delivery_id, ""), None)
                found[key] = receipt
        return found

    def accepted(self) -> "collections.Counter[str]":
        """How often each delivery was accepted by a provider."""
        return collections.Counter(
            entry.delivery_id
            for entry in read_ledger(self.sandbox.ledger_dir)
            if entry.status < 300 and entry.delivery_id
        )

    async def _read_receipts(self) -> None:
        while True:
            for records in (await self.consumer.getmany(timeout_ms=300)).values():
                self.receipts += [decode_receipt(record.value) for record in records]


@contextlib.asynccontextmanager
async def pipeline(bootstrap: str, folder: Path) -> AsyncIterator[Pipeline]:
    opened = Pipeline(bootstrap=bootstrap, folder=folder)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()
