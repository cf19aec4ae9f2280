"""`Stage`: one installation to be struck: Kafka, sandbox, workers, and its evidence."""

import asyncio
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from channels.templates import PARTS
from proof.checker import ledgers
from proof.checker.evidence import Blow, Circumstances, Storm
from proof.checker.rules import read_rules
from proof.checker.verdict import Tally
from proof.cluster import KafkaCluster
from proof.collector import Collector
from proof.load.crowd import BAD_MAILBOX, DEAD
from proof.workers import Slot, Workers
from sandbox.control import SandboxControl
from sandbox.faults import FaultRule
from sandbox.process import SandboxProcess
from streams.config import Config, load
from streams.demo.run import create_topics
from streams.embedded_kafka import EmbeddedKafka
from streams.topology import ROLES

CONFIG = Path(__file__).with_name("faust.yaml")
KAFKA_PROPERTIES = {
    # How soon it looks for transactions that have timed out.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "group.min.session.timeout.ms": "1000",
}
LAG_MS = 120_000
"""A sold phone is known of after three steps, each of which may be struck: whoever is then is away
until it has started, on a machine that has much else to do, and has to catch up."""
PROMPT_MS = 10_000
"""What a user said in their own partition is read before what is decided there; so much is left for
the consumer, which fetches the one topic and the other when it likes."""
STOP_MS = 7_000
"""What stops a delivery: a tail that a sender trusts may be five seconds old, and a call that waited
for its permit is made at once."""

WEATHER = FaultRule(effect="delay", delay_seconds=(0.02, 0.4))
"""How providers answer when nothing is wrong: at once, no call would ever be open at a blow."""


HERE = "127.0.0.1"


def new_kafka(folder: Path, host: str = HERE) -> EmbeddedKafka:
    """`host`: where it tells its clients that it is."""
    return EmbeddedKafka(folder, heap_mb=512, properties=KAFKA_PROPERTIES, advertised_host=host)


def new_cluster(folder: Path, host: str = HERE) -> KafkaCluster:
    """Likewise."""
    return KafkaCluster(folder, heap_mb=320, properties=KAFKA_PROPERTIES, advertised_host=host)


class Stage:
    """Open until `close`; evidence stays in `evidence`, logs in `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        kafka: EmbeddedKafka | KafkaCluster,
        slots: Mapping[str, int] | None = None,
        stop_ms: int = STOP_MS,
        lag_ms: int = LAG_MS,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`slots`: how many a role has, where that is more than one. What stops a delivery is held
        to work within `stop_ms`, what a decision goes by is to be known within `lag_ms`.
        `settings` take the place of the installation's own, those inside of others too."""
        self.folder = folder.resolve()
        self.evidence = self.folder / "evidence"
        self.kafka = kafka
        self._settings = dict(settings or {})
        self.slots = [
            Slot(role, number) for role in ROLES for number in range((slots or {}).get(role, 1))
        ]
        self.circumstances = Circumstances(
            ended_ms=0,
            stop_ms=stop_ms,
            lag_ms=lag_ms,
            prompt_ms=PROMPT_MS,
            dead_addresses=(DEAD, BAD_MAILBOX),
            has_inboxes=True,
        )
        self.tally = Tally()
        """Of all that was judged so far."""
        self._sandbox = SandboxProcess(self.folder / "sandbox")

    async def open(self) -> None:
        """Returns when all workers serve."""
        await self.set_up()
        await self.begin()

    async def begin(self) -> None:
        """Start the workers; returns when all serve."""
        for slot in self.slots:
            self.workers.start(slot)
        await self.workers.until_ready(self.slots)

    async def set_up(self) -> None:
        """Everything but workers."""
        config_file = self._write_installation()
        self.environment = {
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "POSTRIDER_TOPIC_PREFIX": f"p{uuid.uuid4().hex[:8]}.",
            "POSTRIDER_DATA": str(self.folder),
            "POSTRIDER_CONFIG": str(config_file),
        }
        announcement = await self._sandbox.start()
        self.sandbox = SandboxControl(announcement)
        await self.sky()
        self.evidence.mkdir(parents=True, exist_ok=True)
        (self.evidence / ledgers.LEDGER).symlink_to(self._sandbox.ledger_dir)
        self.rules = read_rules(config_file, self.environment)
        (self.evidence / ledgers.RULES).write_bytes(msgspec.json.encode(self.rules))
        self.config: Config = load(config_file, environment={**os.environ, **self.environment})
        await create_topics(self.config)
        self.config_file = config_file
        self.workers = Workers(
            config_file=config_file, data_dir=self.folder, environment=self.environment
        )
        self.collector = Collector(
            self.config.kafka.connection(), names=self.config.kafka.names, folder=self.evidence
        )
        await self.collector.start()

    async def close(self) -> None:
        await self.workers.close()
        await self.collector.stop()
        await self._sandbox.stop()

    def of(self, role: str) -> Sequence[Slot]:
        return [slot for slot in self.slots if slot.role == role]

    async def note_blow(self, role: str, what: str, slot: Slot | None = None) -> Blow:
        """To be called right before a blow: how much was under way when it came."""
        open_calls = None
        if slot is not None:
            open_calls = await asyncio.to_thread(self.workers.open_calls, slot)
        return self.note_told_blow(role, what, open_calls)

    def note_told_blow(self, role: str, what: str, open_calls: int | None) -> Blow:
        """Likewise, of a victim that has told how many calls it had open."""
        blow = Blow(now_ms(), role, what, self.collector.in_flight, open_calls)
        self.circumstances.blows.append(blow)
        return blow

    async def sky(self, *rules: FaultRule, seed: int = 0) -> Sequence[int]:
        """What providers do from now on: these rules and, where none of them hits, the weather.
        Returns the rules' ids."""
        await self.sandbox.lift()
        *ids, _ = await self.sandbox.put_in_force(*rules, WEATHER, seed=seed)
        return ids

    def note_storm(self, channel: str, from_ms: int, effects: Sequence[str]) -> None:
        """To be called when it is over."""
        self.circumstances.storms.append(Storm(channel, from_ms, now_ms(), tuple(effects)))

    def seal(self, *, is_at_rest: bool) -> None:
        """Write down what was done, for the checker."""
        self.circumstances.ended_ms = now_ms()
        self.circumstances.is_at_rest = is_at_rest
        sealed = msgspec.json.format(msgspec.json.encode(self.circumstances))
        (self.evidence / ledgers.CIRCUMSTANCES).write_bytes(sealed)

    def _write_installation(self) -> Path:
        """The configuration, and a template for each place of each type's channels."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config_file = self.folder / CONFIG.name
        said = _with(msgspec.yaml.decode(CONFIG.read_bytes()), self._settings)
        config_file.write_bytes(msgspec.yaml.encode(said))
        kinds = said["types"]
        for name, kind in kinds.items():
            for channel in (*kind["channels"], *kind.get("fallback", ())):
                for part in PARTS[channel].required:
                    path = self.folder / "templates" / name / "default" / f"{channel}.{part}.j2"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text("{{ data.number }}")
        return config_file


def _with(said: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Sections keep what is not named."""
    changed = {
        name: _with(said.get(name, {}), each) if isinstance(each, Mapping) else each
        for name, each in settings.items()
    }
    return {**said, **changed}


def now_ms() -> int:
    return time.time_ns() // 1_000_000
