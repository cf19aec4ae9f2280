"""The whole pipeline in real processes: `postrider worker` of every role, Kafka, the sandbox."""

import asyncio
import collections
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from sandbox.ledger import read_ledger
from sandbox.process import SandboxProcess
from schemas import topics
from schemas.dead_letter import DeadLetter, decode_dead_letter
from schemas.ids import partition_of
from schemas.kafka import Headers
from schemas.receipt import Receipt, decode_receipt
from streams.config import Config, load
from streams.demo.run import create_topics
from streams.topology import DECIDE, ROLES
from streams.worker import PROBES_FILE

PARTITIONS = 4
CONFIG = Path("faust.yaml")


class Pipeline:
    """Workers by role, on topics of their own; `supervised` ones are started again."""

    def __init__(
        self,
        *,
        bootstrap: str,
        folder: Path,
        file: Path = CONFIG,
        roles: Collection[str] = ROLES,
        supervised: bool = False,
    ) -> None:
        self.folder = folder
        self._file = file
        self._roles = roles
        self._options = [] if supervised else ["--once"]
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP": bootstrap,
            "KAFKA_REPLICATION": "1",
            "POSTRIDER_TOPIC_PREFIX": f"p{uuid.uuid4().hex[:8]}.",
            "POSTRIDER_PARTITIONS": str(PARTITIONS),
            "POSTRIDER_SANDBOX": "on",
            "POSTRIDER_CONFIG": str(file),
            "POSTRIDER_DATA": str(folder),
            "POSTRIDER_METRICS_PORT": "0",
            "SMS_RATE": "500/s",
        }
        self.sandbox = SandboxProcess(folder / "sandbox")
        self.receipts: list[Receipt] = []
        self.letters: list[DeadLetter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        await self.sandbox.start()
        self.config: Config = load(self._file, environment=self.environment, data_dir=self.folder)
        await create_topics(self.config)
        self.producer = AIOKafkaProducer(**self.config.kafka.connection(), acks="all")
        await self.producer.start()
        self.consumer = AIOKafkaConsumer(
            *map(self.config.kafka.names.physical, (topics.RECEIPTS, topics.DEAD_LETTERS)),
            **self.config.kafka.connection(),
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        await self.consumer.start()
        self._tasks.append(asyncio.create_task(self._read_what_comes_out()))
        for role in self._roles:
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
                [sys.executable, "-m", "streams.cli", "worker", role, *self._options],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def kill(self, role: str) -> None:
        self.workers[role].kill()
        self.workers[role].wait()
        self.start(role)

    def stop(self, role: str) -> int:
        """A clean stop; returns the exit code."""
        self.workers[role].terminate()
        return self.workers[role].wait(40)

    def terminate(self, role: str) -> int:
        """A clean restart; the exit code of the life that ended."""
        code = self.stop(role)
        self.start(role)
        return code

    async def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        partition: int,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> RecordMetadata:
        """Exactly this record, where it says; returns once it is acknowledged."""
        return await self.producer.send_and_wait(
            self.config.kafka.names.physical(topic), value, key, partition, headers=list(headers)
        )

    def metrics(self, role: str) -> dict[str, float]:
        """What a worker tells of itself now, by name and labels as Prometheus writes them."""
        port = json.loads((self.folder / f"{role}-0" / PROBES_FILE).read_text())["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    async def until_ready(self) -> None:
        """Until every worker has taken its partitions over; fails when one has ended instead."""
        for role, worker in self.workers.items():
            while not await asyncio.to_thread(self._is_ready, role):
                assert worker.poll() is None, (self.folder / f"{role}.log").read_text()
                await asyncio.sleep(0.2)  # another process, which tells nobody

    def _is_ready(self, role: str) -> bool:
        with contextlib.suppress(OSError, ValueError):  # it does not listen yet
            return self.metrics(role)[f'postrider_ready{{role="{role}",slot="0"}}'] == 1.0
        return False

    def said(self, role: str) -> list[dict[str, Any]]:
        """What the role's workers have logged so far."""
        lines = (self.folder / f"{role}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

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
                await asyncio.sleep(0.2)  # another process counts them, and tells nobody
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
            await asyncio.sleep(0.2)  # what other processes do is looked at, not awaited
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

    async def _read_what_comes_out(self) -> None:
        letters = self.config.kafka.names.physical(topics.DEAD_LETTERS)
        while True:
            for place, records in (await self.consumer.getmany(timeout_ms=300)).items():
                if place.topic == letters:
                    self.letters += [decode_dead_letter(record.value) for record in records]
                else:
                    self.receipts += [decode_receipt(record.value) for record in records]


def changed_config(folder: Path, was: str, becomes: str) -> Path:
    """The usual configuration with one thing changed, in a file of the folder."""
    text = CONFIG.read_text()
    assert was in text, f"{CONFIG} does not say {was!r}"
    text = text.replace(was, becomes)
    text = text.replace("templates: templates", f"templates: {CONFIG.resolve().parent}/templates")
    file = folder / "faust.yaml"
    file.write_text(text)
    return file


@contextlib.asynccontextmanager
async def pipeline(bootstrap: str, folder: Path, **options: Any) -> AsyncIterator[Pipeline]:
    """`options`: as of `Pipeline`."""
    opened = Pipeline(bootstrap=bootstrap, folder=folder, **options)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()
