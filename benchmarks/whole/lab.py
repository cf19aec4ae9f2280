"""One installation under measurement: workers on one core, everything else on the other."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.whole.meter import Meter
from benchmarks.whole.worker import Worker, until_silent
from sandbox.ledger import read_ledger
from sandbox.process import SandboxProcess
from schemas.kafka import Record
from streams.config import Config, load
from streams.demo.lag import Lag
from streams.demo.run import create_topics
from streams.embedded_kafka import SMALL, EmbeddedKafka
from streams.faust_app import GroupSettings
from streams.worker import slot_folder

HARNESS_CORE, WORKER_CORE = "0", "1"
BOTH_CORES = "0,1"
PARTITIONS = 8
CONFIG = Path(__file__).parent / "faust.yaml"
HEAP_MB = 1024
LONG_LIVED = ()
"""Options of a broker's Java that may compile itself fully: its own choice."""


class Lab:
    """Inside `opened`: Kafka and the sandbox run, topics exist."""

    def __init__(
        self, folder: Path, kafka: EmbeddedKafka, sandbox: SandboxProcess, env: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.kafka = kafka
        self.sandbox = sandbox
        self.workers: list[Worker] = []
        self._env = {
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "KAFKA_REPLICATION": "1",
            "POSTRIDER_PARTITIONS": str(PARTITIONS),
            "POSTRIDER_DATA": str(folder),
            "POSTRIDER_SANDBOX_FILE": str(folder / "sandbox" / "sandbox.json"),
            # As where it is installed: a start must not compile all of it again.
            "PYTHONDONTWRITEBYTECODE": "",
            **env,
        }
        self.config: Config = load(CONFIG, environment={**os.environ, **self._env}, data_dir=folder)

    def start(self, role: str, slot: int = 0, *, cores: str = WORKER_CORE) -> Worker:
        command = ["taskset", "-c", cores, sys.executable, "-m", "streams.cli", "worker", role]
        command += ["--slot", str(slot), "--once", "--config", str(CONFIG)]
        group = GroupSettings(role=role, slot=slot, data_dir=self.folder)
        log = self.folder / f"{role}-{slot}.log"
        worker = Worker(command, log=log, folder=slot_folder(group), env=self._env)
        self.workers.append(worker)
        return worker

    def meter(self, *workers: Worker) -> Meter:
        broker = [self.kafka.pid or 0]
        harness = [os.getpid(), self.sandbox.pid]
        return Meter(
            {"worker": [each.pid for each in workers], "broker": broker, "harness": harness}
        )

    async def until_idle(self, worker: Worker) -> float:
        """Wait until nothing waits for any role that runs; when `worker` committed for the last time.

        Being silent for a while is not enough: on a busy machine a worker may be held up that long.
        """
        lag = Lag(connection=self.config.kafka.connection(), names=self.config.kafka.names)
        await lag.start()
        try:
            while True:
                at = await until_silent(worker)
                if not await lag.waiting():
                    return at
        finally:
            await lag.close()

    def must_have_sent(self, deliveries: int) -> None:
        """Raises `RuntimeError` unless the sandbox has so many at least, each of them once: a rate of
        what nobody got is none."""
        accepted = [each.delivery_id for each in read_ledger(self.sandbox.ledger_dir)]
        distinct = len(set(accepted))
        if distinct < deliveries or distinct < len(accepted):
            raise RuntimeError(
                f"{len(accepted)} messages of {distinct} deliveries were sent, not {deliveries} once"
            )

    def bytes_in_kafka(self) -> int:
        """In all topics, as they lie on the broker's disk: compressed, without indexes."""
        return sum(each.stat().st_size for each in self.folder.glob("kafka/log/*/*.log"))

    @contextlib.asynccontextmanager
    async def producing(self, *, linger_ms: int = 2) -> AsyncIterator["Producing"]:
        producer = AIOKafkaProducer(
            **self.config.kafka.connection(), acks="all", linger_ms=linger_ms,
            max_request_size=2 << 20,
        )  # fmt: skip
        await producer.start()
        try:
            yield Producing(self, producer)
        finally:
            await producer.stop()


class Producing:
    """What a benchmark writes."""

    def __init__(self, lab: Lab, producer: AIOKafkaProducer) -> None:
        self._names = lab.config.kafka.names
        self._producer = producer

    async def send(self, record: Record) -> "asyncio.Future[Any]":
        sent: asyncio.Future[Any] = await self._producer.send(
            self._names.physical(record.topic), record.value, record.key, record.partition
        )
        return sent

    async def flush(self) -> None:
        await self._producer.flush()


@contextlib.asynccontextmanager
async def opened(
    folder: Path, *, env: Mapping[str, str] | None = None, java_options: Sequence[str] = SMALL
) -> AsyncIterator[Lab]:
    """Everything but workers, on the harness's core; workers that still run are killed at the end.

    `env` is what the configuration file asks the environment for, `java_options` are the broker's.
    """
    os.sched_setaffinity(0, {int(HARNESS_CORE)})  # children inherit it
    broker = EmbeddedKafka(folder / "kafka", heap_mb=HEAP_MB, java_options=java_options)
    with broker as kafka:
        async with SandboxProcess(folder / "sandbox") as sandbox:
            lab = Lab(folder, kafka, sandbox, env or {})
            await create_topics(lab.config)
            try:
                yield lab
            finally:
                for worker in lab.workers:
                    worker.kill()
