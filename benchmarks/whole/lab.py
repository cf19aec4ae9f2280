"""One installation under measurement: workers on one core, everything else on the other."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.whole.meter import Meter, cpu_seconds, peak_resident_mb
from sandbox.process import SandboxProcess
from schemas.kafka import Record
from streams.config import Config, load
from streams.demo.run import create_topics
from streams.embedded_kafka import EmbeddedKafka
from streams.faust_app import GroupSettings
from streams.worker import PROBES_FILE, slot_folder

HARNESS_CORE, WORKER_CORE = 0, 1
PARTITIONS = 8
CONFIG = Path(__file__).parent / "faust.yaml"
_LOOK_SECONDS = 0.05
_READY_SECONDS = 120.0
_IDLE_SECONDS = 1.5


class Worker:
    """A worker process of its own, started at once and pinned to the worker's core."""

    def __init__(self, command: Sequence[str], *, log: Path, probes: Path, env: Mapping[str, str]):
        probes.unlink(missing_ok=True)
        self._probes = probes
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env=dict(env))
        self.pid = self._process.pid

    async def ready(self) -> float:
        """Wait until it serves; the instant, on the monotonic clock."""
        until = time.monotonic() + _READY_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"a worker did not come up: see {self._log}")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.monotonic()

    async def told(self) -> int:
        """Receipts that the process has written."""
        text = await asyncio.to_thread(self._get, "/metrics")
        counts = re.findall(r"^postrider_deliveries_total{.*} (\S+)$", text, re.MULTILINE)
        return round(sum(map(float, counts)))

    async def until_told(self, count: int, *, within_seconds: float = 900.0) -> float:
        """Wait for so many receipts; the instant they were first seen."""
        until = time.monotonic() + within_seconds
        while (told := await self.told()) < count:
            if time.monotonic() > until:
                raise TimeoutError(f"{told} receipts of {count}")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.monotonic()

    async def until_idle(self, *, within_seconds: float = 900.0) -> float:
        """Wait until it has committed nothing for a while; the instant of the last commit seen."""
        last, since = -1.0, time.monotonic()
        until = since + within_seconds
        while time.monotonic() - since < _IDLE_SECONDS:
            now = await self._committed()
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() > until:
                raise TimeoutError("it never came to rest")
            await asyncio.sleep(_LOOK_SECONDS)
        return since

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def peak_resident_mb(self) -> float:
        return peak_resident_mb(self.pid)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        if self._process.wait(60) != 0:
            raise RuntimeError(f"a worker did not stop in order: see {self._log}")

    async def _committed(self) -> float:
        text = await asyncio.to_thread(self._get, "/metrics")
        (count,) = re.findall(r"^postrider_transactions_total{.*} (\S+)$", text, re.MULTILINE)
        return float(count)

    def _is_ready(self) -> bool:
        try:
            return bool(self._get("/readyz"))
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def _get(self, path: str) -> str:
        port = json.loads(self._probes.read_text())["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            text: str = answer.read().decode()
            return text


class Lab:
    """Inside `opened`: Kafka and the sandbox run, topics exist."""

    def __init__(self, folder: Path, kafka: EmbeddedKafka, sandbox: SandboxProcess) -> None:
        self.folder = folder
        self.kafka = kafka
        self.sandbox = sandbox
        self.workers: list[Worker] = []
        self.env = {
            **os.environ,
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "KAFKA_REPLICATION": "1",
            "POSTRIDER_PARTITIONS": str(PARTITIONS),
            "POSTRIDER_DATA": str(folder),
            "POSTRIDER_SANDBOX_FILE": str(folder / "sandbox" / "sandbox.json"),
        }
        self.config: Config = load(CONFIG, environment=self.env, data_dir=folder)

    def start(self, role: str, slot: int = 0, *, core: int = WORKER_CORE) -> Worker:
        command = ["taskset", "-c", str(core), sys.executable, "-m", "streams.cli", "worker", role]
        command += ["--slot", str(slot), "--once", "--config", str(CONFIG)]
        group = GroupSettings(role=role, slot=slot, data_dir=self.folder)
        worker = Worker(
            command,
            log=self.folder / f"{role}-{slot}.log",
            probes=slot_folder(group) / PROBES_FILE,
            env=self.env,
        )
        self.workers.append(worker)
        return worker

    def meter(self, *workers: Worker) -> Meter:
        broker = [self.kafka.pid or 0]
        harness = [os.getpid(), self.sandbox.pid]
        return Meter(
            {"worker": [each.pid for each in workers], "broker": broker, "harness": harness}
        )

    @contextlib.asynccontextmanager
    async def producing(self) -> AsyncIterator["Producing"]:
        producer = AIOKafkaProducer(
            **self.config.kafka.connection(), acks="all", linger_ms=2, max_request_size=2 << 20
        )
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
async def opened(folder: Path, *, heap_mb: int = 1024) -> AsyncIterator[Lab]:
    """Everything but workers, on the harness's core; workers that still run are killed at the end."""
    os.sched_setaffinity(0, {HARNESS_CORE})  # children inherit it
    with EmbeddedKafka(folder / "kafka", heap_mb=heap_mb) as kafka:
        async with SandboxProcess(folder / "sandbox") as sandbox:
            lab = Lab(folder, kafka, sandbox)
            await create_topics(lab.config)
            try:
                yield lab
            finally:
                for worker in lab.workers:
                    worker.kill()


def fresh_copy(source: Path, target: Path) -> Path:
    """A prepared state, to be spoilt by one run."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-r", "--reflink=auto", str(source), str(target)], check=True)
    return target
