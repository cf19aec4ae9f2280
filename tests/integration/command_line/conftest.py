"""An installation of a test's own on the shared broker, and a person in front of it."""

import asyncio
import uuid
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import yaml
from aiokafka import AIOKafkaProducer

from schemas.kafka import InboundRecord, Record, TopicPartition
from streams.assembly import layout_of
from streams.cli import main
from streams.config import Config, load
from streams.embedded_kafka import EmbeddedKafka
from streams.reading import Reader, inbound
from streams.topic_admin import connected

PARTITIONS = 2
T = TypeVar("T")


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: object
    out: str
    err: str


class Installation:
    """Its topics, its configuration file, and `postrider` run on it."""

    def __init__(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = file
        self._capsys = capsys
        self.config: Config = load(file, environment={})

    def create_topics(self) -> None:
        async def create() -> None:
            layout, names = layout_of(self.config), self.config.kafka.names
            async with connected(
                self.config.kafka.connection(), layout=layout, names=names
            ) as admin:
                await admin.create()

        self.run(create())

    def __call__(self, *arguments: str) -> Ended:
        """`postrider ARGUMENTS` in this installation."""
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--config", str(self.file)])
        return Ended(ended.value.code, *self._capsys.readouterr())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    def write(self, *records: Record) -> None:
        async def write() -> None:
            producer = AIOKafkaProducer(**self.config.kafka.connection())
            await producer.start()
            try:
                for each in records:
                    await producer.send_and_wait(
                        self.config.kafka.names.physical(each.topic),
                        each.value,
                        each.key,
                        each.partition,
                        headers=list(each.headers),
                    )
            finally:
                await producer.stop()

        self.run(write())

    def read(self, topic: str) -> list[InboundRecord]:
        """What a reader of the topic sees now, in the order of partition and offset."""
        return self.run(self.records(topic))

    async def records(self, topic: str) -> list[InboundRecord]:
        connection, names = self.config.kafka.connection(), self.config.kafka.names
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        found = []
        async with Reader(names=names, connection=connection) as reader:
            for place, end in (await reader.ends(places)).items():
                async for chunk in reader.read(place, 0, end):
                    found += [inbound(place, record) for record in chunk]
        return found


@pytest.fixture
def postrider(
    kafka: EmbeddedKafka,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Installation:
    for name in ("POSTRIDER_CONFIG", "POSTRIDER_DATA"):
        monkeypatch.delenv(name, raising=False)
    tree = yaml.safe_load(Path("faust.yaml").read_text())
    tree["templates"] = str(Path("templates").resolve())
    tree["data"] = str(tmp_path / "data")
    tree["partitions"] = PARTITIONS
    tree["kafka"] = {
        "bootstrap": kafka.bootstrap,
        "replication": 1,
        "topic_prefix": f"t{uuid.uuid4().hex[:8]}.",
    }
    file = tmp_path / "faust.yaml"
    file.write_text(yaml.safe_dump(tree))
    installation = Installation(file, capsys)
    installation.create_topics()
    return installation
