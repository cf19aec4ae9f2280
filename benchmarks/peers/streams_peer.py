"""Kafka Streams, one processor, at least once: what a team writes that knows Java."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from benchmarks.peers import java
from benchmarks.peers.kafka_site import KafkaSite
from benchmarks.peers.peer import Peer
from benchmarks.peers.people import partition_of, rows
from benchmarks.peers.site import Site
from benchmarks.whole.lab import HEAP_MB
from sandbox.process import SandboxProcess
from streams.embedded_kafka import EmbeddedKafka

_SOURCE = Path(__file__).parent / "workers" / "Broadcast.java"
_RECIPIENTS = "recipients"


class _Streams(KafkaSite):
    group = "sender"

    @property
    def command(self) -> Sequence[str]:
        class_path = f"{self.folder / 'classes'}:{java.streams_class_path()}"
        return [
            str(java.JAVA), "-Xmx1g", "-XX:ActiveProcessorCount=1",
            "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", class_path, "Broadcast",
        ]  # fmt: skip

    async def fill(self, people: int) -> None:
        """By its topic, which the worker reads before it is asked for anything."""
        for user_id, row in rows(people):
            await self.producer.send(_RECIPIENTS, row, user_id.encode(), partition_of(user_id))
        await self.producer.flush()

    async def ready(self) -> None:
        await super().ready()
        while not await self.has_read(_RECIPIENTS):  # noqa: ASYNC110  the broker tells nobody
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def _opened(folder: Path, people: int) -> AsyncIterator[Site]:
    java.compile_java(_SOURCE, folder / "classes")
    with EmbeddedKafka(folder / "kafka", heap_mb=HEAP_MB) as kafka:
        async with SandboxProcess(folder / "sandbox") as sandbox:
            site = _Streams(folder, sandbox, kafka, people)
            async with site.connected(_RECIPIENTS):
                await site.fill(people)
                yield site


PEER = Peer(
    name="kafka-streams",
    title="Kafka Streams, at least once",
    lacks="no fencing of provider calls: a member that was shaken off sends on; at least once: what "
    "was sent and had not reached the changelog is sent again, and nobody is told which; no fan-out, "
    "nothing held until quiet hours end, no retry but starting again",
    opened=_opened,
    is_warmed_up=True,
)
