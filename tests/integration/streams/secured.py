"""An installation on a secured broker, with a configuration file for each way to connect to it."""

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from proof.worker_process import WorkerProcess
from streams.config import Config, load
from tests.brokers import ANN, MECHANISMS, PASSWORD, SecuredKafka
from tests.integration.command_line.conftest import Ended

PARTITIONS = 2


Postrider = Callable[..., Ended]
_ENVIRONMENT = {"KAFKA_PASSWORD": PASSWORD, "WRONG_PASSWORD": "incorrect mule"}


class Way:
    """An address, and `kafka.security` as the file has it."""

    def __init__(self, bootstrap: str, **security: Any) -> None:
        self.kafka = {"bootstrap": bootstrap, "security": security}


def sasl(
    bootstrap: str,
    protocol: str,
    mechanism: str,
    *,
    username: str = ANN,
    password: str = "KAFKA_PASSWORD",
    **security: Any,
) -> Way:
    who = {"username": username, "password": {"env": password}}
    return Way(bootstrap, protocol=protocol, mechanism=mechanism, **who, **security)


def ways(kafka: SecuredKafka) -> dict[str, Way]:
    """Every one that works."""
    bundle = {"ca_bundle": str(kafka.trusted.bundle)}
    pair = kafka.trusted.issue(ANN, password=PASSWORD.encode())
    shown = {
        "certificate": str(pair.certificate),
        "key": str(pair.key),
        "key_password": {"env": "KAFKA_PASSWORD"},
    }
    found = {
        "TLS": Way(kafka.address("tls"), protocol="SSL", **bundle),
        "mutual TLS": Way(kafka.address("mutual"), protocol="SSL", **bundle, **shown),
    }
    for mechanism in MECHANISMS:
        clear, hidden = kafka.address("sasl"), kafka.address("sasl-tls")
        found[f"clear {mechanism}"] = sasl(clear, "SASL_PLAINTEXT", mechanism)
        found[f"TLS {mechanism}"] = sasl(hidden, "SASL_SSL", mechanism, **bundle)
    return found


class Site:
    """Topics under a prefix of its own; workers that are ended with the test."""

    def __init__(self, folder: Path) -> None:
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.folder = folder
        self.environment = {**os.environ, **_ENVIRONMENT}
        self._workers: list[WorkerProcess] = []

    def file(self, name: str, way: Way, **changed: Any) -> Path:
        tree = yaml.safe_load(Path("faust.yaml").read_text())
        tree |= {"templates": str(Path("templates").resolve()), "data": str(self.folder / "data")}
        tree |= {"partitions": PARTITIONS, "sandbox": True, "workers": {"metrics_port": 0}}
        tree["kafka"] = {"replication": 1, "topic_prefix": self.prefix, **way.kafka, **changed}
        path = self.folder / f"{name.replace(' ', '-')}.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    def config(self, file: Path) -> Config:
        return load(file, environment=self.environment)

    def start(self, role: str, file: Path) -> WorkerProcess:
        """A worker with this file; what it says is in `told_by`."""
        worker = WorkerProcess(
            [role, "--once", "--config", str(file)],
            environment=self.environment,
            log=self._log(file),
        )
        self._workers.append(worker)
        return worker

    def told_by(self, file: Path) -> str:
        return self._log(file).read_text()

    def until_told_by(self, file: Path, text: str) -> None:
        while text not in self.told_by(file):
            time.sleep(0.1)  # there is nothing to await: another process writes it

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()

    def _log(self, file: Path) -> Path:
        return file.with_suffix(".log")


async def until_read(config: Config, sources: Mapping[str, str]) -> None:
    """Until the group of each role has told, for lag tools, that it read something of its source."""
    names = config.kafka.names
    admin = AIOKafkaAdminClient(**config.kafka.connection())
    await admin.start()
    try:
        async with asyncio.timeout(60):
            for role, source in sources.items():
                while not await _has_read(admin, names.group(role), names.physical(source)):
                    pass  # each look takes a moment
    finally:
        await admin.close()


async def _has_read(admin: AIOKafkaAdminClient, group: str, topic: str) -> bool:
    with contextlib.suppress(KafkaError):  # a group that nobody has joined yet
        offsets = await admin.list_consumer_group_offsets(group)
        return any(at.offset > 0 and place.topic == topic for place, at in offsets.items())
    return False
