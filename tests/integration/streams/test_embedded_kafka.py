"""The embedded Kafka: data survives, instances keep apart, and nothing is left behind."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.demo.ensemble import Ensemble
from streams.embedded_kafka import EmbeddedKafka, KafkaUnavailable


@contextlib.contextmanager
def postrider_kafka(data_dir: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`postrider kafka` in a process of its own, and the address that it printed."""
    command = [sys.executable, "-m", "streams.cli", "kafka", "--heap-mb", "256"]
    with subprocess.Popen(
        [*command, "--data-dir", str(data_dir)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def is_refused(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return True
    return False


async def write(bootstrap: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait("kept", value)


async def read(bootstrap: str) -> bytes:
    async with AIOKafkaConsumer(
        "kept", bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()
        assert record.value is not None
        return bytes(record.value)


async def test_a_killed_command_leaves_no_broker_but_all_data_at_the_same_address(
    tmp_path: Path,
) -> None:
    with postrider_kafka(tmp_path) as (process, address):
        await write(address, b"still here")

        process.kill()
        until(lambda: is_refused(address))

    with EmbeddedKafka(tmp_path / "kafka", heap_mb=256) as again:
        assert again.bootstrap == address
        assert await read(again.bootstrap) == b"still here"


def test_a_second_broker_comes_and_goes_without_disturbing_the_first(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    with postrider_kafka(tmp_path) as (process, address):
        assert address != kafka.bootstrap
        assert not is_refused(address)

        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == 0
        assert is_refused(address)
    assert kafka.is_running


def test_a_broker_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path, heap_mb=256, properties={"num.io.threads": "none"})

    with pytest.raises(KafkaUnavailable, match=r"format|kafka\.log"):
        broker.start()

    assert not broker.is_running


def test_a_port_that_is_taken_is_refused_before_its_owner_could_answer_for_us(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    port = int(kafka.bootstrap.rpartition(":")[2])
    broker = EmbeddedKafka(tmp_path, port=port, heap_mb=256)

    with pytest.raises(KafkaUnavailable, match=f"port {port} is taken"):
        broker.start()

    assert not broker.is_running


async def test_up_starts_its_kafka_again_when_it_ends_by_itself(tmp_path: Path) -> None:
    said: list[str] = []
    ensemble = Ensemble(config_file=Path("faust.yaml"), data_dir=tmp_path, say=said.append)
    ensemble.start_kafka()
    try:
        address, pid = ensemble._kafka.bootstrap, ensemble._kafka.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        keeping = asyncio.create_task(ensemble.keep_kafka())
        while said[-1] != "Kafka is back":  # noqa: ASYNC110  # it tells nobody else
            await asyncio.sleep(0.1)

        assert not is_refused(address)
        keeping.cancel()
    finally:
        ensemble.stop_kafka()
