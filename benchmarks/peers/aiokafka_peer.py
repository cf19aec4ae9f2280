"""A plain aiokafka loop with its state in RocksDB: what a team writes that needs no framework."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from benchmarks.peers.kafka_site import KafkaSite
from benchmarks.peers.peer import Peer
from benchmarks.peers.people import rows
from benchmarks.peers.site import PYTHON, Site
from benchmarks.peers.workers import aiokafka_loop
from benchmarks.whole.lab import HEAP_MB
from sandbox.process import SandboxProcess
from streams.embedded_kafka import EmbeddedKafka


class AiokafkaSite(KafkaSite):
    group = "sender"

    @property
    def command(self) -> Sequence[str]:
        return [PYTHON, "-m", aiokafka_loop.__name__]

    def fill(self, people: int) -> None:
        """Its rows are simply there; how they get there is left out for all."""
        db = aiokafka_loop.opened(self.folder)
        for user_id, row in rows(people):
            aiokafka_loop.fill(db, user_id, row)
        db.flush()
        db.close()


@contextlib.asynccontextmanager
async def _opened(folder: Path, people: int) -> AsyncIterator[Site]:
    with EmbeddedKafka(folder / "kafka", heap_mb=HEAP_MB) as kafka:
        async with SandboxProcess(folder / "sandbox") as sandbox:
            site = AiokafkaSite(folder, sandbox, kafka, people)
            site.fill(people)
            async with site.connected():
                yield site


PEER = Peer(
    name="aiokafka",
    title="plain aiokafka loop, rocksdict",
    lacks="no changelog: who was sent what is gone with the disk, and cannot move with a partition; "
    "no fencing: a member that was shaken off sends on; no transaction: a slice that was sent and "
    "not remembered is sent again; nobody is told which; no fan-out, nothing held until quiet hours "
    "end, no retry but starting again",
    opened=_opened,
)
