"""Real worker processes of the smallest pipeline on a real Kafka, to be killed, stopped and robbed."""

import asyncio
import collections
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import CommitFailedError, UnknownMemberIdError
from aiokafka.structs import TopicPartition as KafkaPartition

from streams.names import Names
from streams.worker import PROBES_FILE
from tests.simulation.small import DELIVERIES, RECEIPTS, REQUESTS

PARTITIONS = 4
SESSION_SECONDS = 2.0
TOPICS = (
    REQUESTS,
    DELIVERIES,
    RECEIPTS,
    *(
        f"{role}-{kind}-changelog"
        for role in ("decide", "send")
        for kind in ("transient", "durable")
    ),
)


class Ledger:
    """The provider: outside every worker, remembers what it accepted and when."""

    def __init__(self, *, seconds: float = 0.02) -> None:
        self.accepted: collections.Counter[bytes] = collections.Counter()
        self.port = 0
        self.something_accepted = asyncio.Event()
        self._seconds = seconds
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            delivery_id = (await reader.readline()).strip()
            self.accepted[delivery_id] += 1
            self.something_accepted.set()
            self.something_accepted.clear()
            await asyncio.sleep(self._seconds)  # the provider's own latency
            writer.write(b"ok\n")
            await writer.drain()
        writer.close()


@dataclass(frozen=True, slots=True)
class Spans:
    """How long a session, a drain and a transaction of the workers may last."""

    session_seconds: float = SESSION_SECONDS
    drain_seconds: float = 11.0
    transaction_seconds: float = 30.0


USUAL = Spans()


class Lab:
    """Workers by name (`role-slot`), one set of topics."""

    def __init__(
        self, *, bootstrap: str, folder: Path, ledger: Ledger, spans: Spans, replication: int
    ) -> None:
        self.bootstrap = bootstrap
        self.ledger = ledger
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.exits: list[int] = []
        self._folder = folder
        self._spans = spans
        self._replication = replication
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")

    async def open(self) -> None:
        async with self._administering() as admin:
            await admin.create_topics(list(map(self._new, TOPICS)))
        await self._producer.start()

    async def close(self) -> None:
        for worker in self.workers.values():
            worker.kill()
        for worker in self.workers.values():
            worker.wait()
        await self._producer.stop()

    async def remove(self, topic: str, begins: Mapping[int, int]) -> None:
        """What retention does: each partition begins there now."""
        async with self._administering() as admin:
            await admin.delete_records(
                {
                    KafkaPartition(self.prefix + topic, number): RecordsToDelete(begin)
                    for number, begin in begins.items()
                }
            )

    async def recreate(self, topic: str) -> None:
        """Delete the topic and make it anew."""
        async with self._administering() as admin:
            await admin.delete_topics([self.prefix + topic])
            created = await admin.create_topics([self._new(topic)])
        assert not any(code for _, code, *_ in created.topic_errors)
        # Ours would not find out by itself for as long as its metadata is young.
        await self._producer.client.force_metadata_update()

    def metric(self, name: str, metric: str) -> float:
        """What the worker tells of itself now, over all labels."""
        port = json.loads((self._folder / name / name / PROBES_FILE).read_text())["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(metric + "{"))

    def start(self, name: str, *, module: str = "tests.integration.streams.small_worker") -> None:
        role, slot = name.split("-")
        log = (self._folder / f"{name}.log").open("ab")
        arguments = [role, slot, self.bootstrap, self.prefix, str(self._folder / name)]
        arguments += [str(self.ledger.port), *map(str, astuple(self._spans))]
        with log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stderr=log,
                stdout=log,
            )

    def kill(self, name: str) -> None:
        self.workers[name].kill()
        self.workers[name].wait()

    def terminate(self, name: str) -> int:
        """A clean stop; returns the exit code."""
        self.workers[name].terminate()
        return self.workers[name].wait(30)

    def suspend(self, name: str) -> None:
        self.workers[name].send_signal(signal.SIGSTOP)

    def wake(self, name: str) -> None:
        self.workers[name].send_signal(signal.SIGCONT)

    def wipe(self, name: str) -> None:
        shutil.rmtree(self._folder / name, ignore_errors=True)

    async def until_more_is_sent(self) -> None:
        """Return when the provider has accepted something that it had not before: all is at work."""
        before = self.ledger.accepted.total()
        while self.ledger.accepted.total() == before:
            self.restart_the_dead()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ledger.something_accepted.wait(), 0.2)

    def log_of(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    async def until_taken_over(self, name: str) -> None:
        """Return when the worker has said that it holds partitions."""
        log = self._folder / f"{name}.log"
        while b'"partitions": [' not in log.read_bytes().replace(b'"partitions": []', b""):
            self.restart_the_dead()
            await asyncio.sleep(0.1)  # there is nothing to await: another process writes it

    async def reset_group_offsets(self, role: str, *, to: int) -> None:
        """What an operator may do while the workers are down."""
        source = {"decide": REQUESTS, "send": DELIVERIES}[role]
        places = [KafkaPartition(self.prefix + source, number) for number in range(PARTITIONS)]
        group = Names(self.prefix).group(role)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group)
        await consumer.start()
        consumer.assign(places)
        while True:
            try:
                await consumer.commit(dict.fromkeys(places, to))
                break
            except (CommitFailedError, UnknownMemberIdError):
                await asyncio.sleep(0.2)  # until their sessions end: nobody is told
        await consumer.stop()

    async def until_led(self) -> None:
        """Return when every partition of ours has a leader again."""
        async with self._administering() as admin:
            while not await self._are_led(admin):  # noqa: ASYNC110  # there is nothing to await
                await asyncio.sleep(0.1)  # the broker tells nobody

    @contextlib.asynccontextmanager
    async def _administering(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    def _new(self, topic: str) -> NewTopic:
        kept = {"min.insync.replicas": str(max(1, self._replication - 1))}
        return NewTopic(self.prefix + topic, PARTITIONS, self._replication, topic_configs=kept)

    async def _are_led(self, admin: AIOKafkaAdminClient) -> bool:
        described = await admin.describe_topics([self.prefix + topic for topic in TOPICS])
        return all(
            partition["leader"] >= 0 for each in described for partition in each["partitions"]
        )

    async def until_all_go_on(self) -> None:
        """Return when something new has been settled in every partition."""
        behind = set(range(PARTITIONS))
        async with self.reading(RECEIPTS) as consumer:
            await consumer.seek_to_end()
            while behind:
                behind -= {place.partition for place in await consumer.getmany(timeout_ms=200)}

    def restart_the_dead(self) -> None:
        """What the supervisor does."""
        for name, worker in list(self.workers.items()):
            code = worker.poll()
            if code is not None:
                self.exits.append(code)
                self.start(name)

    async def request(self, number: int) -> None:
        await self._producer.send_and_wait(
            self.prefix + REQUESTS, b"%d" % number, partition=number % PARTITIONS
        )

    async def settled(self, count: int, *, within_seconds: float) -> dict[bytes, list[bytes]]:
        """Final states by delivery, once there are so many; fewer after the time."""
        finals: dict[bytes, list[bytes]] = collections.defaultdict(list)
        deadline = time.monotonic() + within_seconds
        async with self.reading(RECEIPTS) as consumer:
            while len(finals) < count and time.monotonic() < deadline:
                for records in (await consumer.getmany(timeout_ms=300)).values():
                    for record in records:
                        delivery_id, status = record.value.split()
                        finals[delivery_id].append(status)
                self.restart_the_dead()
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    delivery_id, status = record.value.split()
                    finals[delivery_id].append(status)
        return finals

    @contextlib.asynccontextmanager
    async def reading(self, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            self.prefix + topic,
            bootstrap_servers=self.bootstrap,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


@contextlib.asynccontextmanager
async def lab(
    bootstrap: str,
    folder: Path,
    *,
    call_seconds: float = 0.02,
    spans: Spans = USUAL,
    replication: int = 1,
) -> AsyncIterator[Lab]:
    ledger = Ledger(seconds=call_seconds)
    await ledger.start()
    opened = Lab(
        bootstrap=bootstrap, folder=folder, ledger=ledger, spans=spans, replication=replication
    )
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()
        await ledger.stop()
