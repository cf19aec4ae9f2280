"""Workers and commands on a Kafka that is reached by TLS and SASL, each part in a way of its own."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas import topics
from schemas.delivery import CHANNELS
from streams.config import Config
from streams.topology import DECIDE
from tests.brokers import SecuredKafka
from tests.integration.streams.secured import Postrider, Site, Way, until_read, ways

EVE = {"user_id": "eve", "email": "eve@example.org", "phone": "+14155550100", "timezone": "UTC",
       "devices": [{"device_id": "phone", "token": "token-of-eve", "platform": "android"}]}  # fmt: skip
ALARM = ("--user", "eve", "--type", "security_alert", "--data", '{"place": "Oslo"}')
CODE = ("--user", "eve", "--type", "login_code", "--data", '{"code": "123456"}')
AWAY = r"waiting for Kafka: kafka.bootstrap: no Kafka answers at .* \(connection refused\)\n"
WORKERS = {
    "decide": "mutual TLS",
    "push": "TLS SCRAM-SHA-512",
    "email": "clear SCRAM-SHA-256",
    "sms": "clear PLAIN",
    "in_app": "TLS",
}
SOURCES: dict[str, str] = {
    "decide": topics.REQUESTED["normal"],
    **{channel: topics.deliveries(channel, "normal") for channel in CHANNELS},
}


@contextmanager
def a_sandbox(folder: Path) -> Iterator[None]:
    """In place of the providers, as long as its standard input is open."""
    folder.mkdir(parents=True)
    announced = folder / "sandbox.json"
    command = [sys.executable, "-m", "sandbox", "--tethered", "--ledger", str(folder / "ledger")]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "--announce", str(announced)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline(), "the sandbox did not start"
        yield
        process.terminate()


async def put(config: Config, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(**config.kafka.connection()) as producer:
        await producer.send_and_wait(config.kafka.names.physical(topic), value, b"eve")


@pytest.mark.timeout(240)
def test_a_notification_is_told_on_every_channel_however_each_part_connects(
    secured: SecuredKafka, site: Site, postrider: Postrider
) -> None:
    every_way = {"plain": Way(secured.broker.bootstrap), **ways(secured)}
    files = {name: site.file(name, way) for name, way in every_way.items()}
    plain = site.config(files["plain"])

    created = postrider(files["mutual TLS"], "topics", "create")
    assert created.code == 0, created.err
    with a_sandbox(site.folder / "data" / "sandbox"):
        workers = {role: site.start(role, files[name]) for role, name in WORKERS.items()}
        (site.folder / "people.jsonl").write_text(json.dumps(EVE))
        imported = postrider(
            files["clear PLAIN"], "recipients", "import", str(site.folder / "people.jsonl")
        )
        assert imported.code == 0, imported.err
        asyncio.run(until_read(plain, {DECIDE: topics.RECIPIENTS_IMPORTED}))

        following = ("--follow", "--json", "--timeout", "60s")
        alarm = postrider(files["TLS SCRAM-SHA-256"], "send", *ALARM, *following)
        code = postrider(files["clear SCRAM-SHA-512"], "send", *CODE, *following)

        asked, *receipts = [json.loads(line) for line in (alarm.out + code.out).splitlines()]
        sent = {each.get("channel") for each in receipts if each.get("status") == "sent"}
        assert sent == {"push", "email", "in_app", "sms"}, alarm.out + code.out

        for name, file in files.items():
            checked = postrider(file, "topics", "check")
            assert (checked.code, checked.out) == (0, "every topic is as it should be\n"), name
            assert postrider(file, "send", *CODE, "--key", "again").code == 0, name
        asyncio.run(until_read(plain, SOURCES))

        asyncio.run(put(plain, topics.REQUESTED["bulk"], b"no JSON"))
        asyncio.run(until_read(plain, {DECIDE: topics.REQUESTED["bulk"]}))
        _look_around(site, files, postrider, asked["notification_id"])

        workers["sms"].terminate()  # so that nobody settles what is asked for next
        assert workers.pop("sms").wait(40) == 0
        with (
            _a_command(site, files["TLS SCRAM-SHA-512"], "receipts", "tail", "--since=1h") as tail,
            _a_command(site, files["clear PLAIN"], "send", *CODE, "--follow") as send,
        ):
            _kafka_goes_away(secured, site, [files[WORKERS[role]] for role in workers], tail, send)
            site.start("sms", files[WORKERS["sms"]])
            assert send.wait(60) == 0
            tail.send_signal(signal.SIGINT)
            assert tail.wait(30) == 0


def _look_around(
    site: Site, files: dict[str, Path], postrider: Postrider, notification_id: str
) -> None:
    """Every command that reads, each in another way."""
    shown = postrider(files["mutual TLS"], "show", notification_id)
    looked_up = postrider(files["TLS"], "lookup", "--once")
    found = postrider(files["TLS PLAIN"], "show", notification_id)
    paused = postrider(files["clear SCRAM-SHA-512"], "pause", "--channel", "sms")
    listed = postrider(files["TLS SCRAM-SHA-256"], "pause", "--list")
    resumed = postrider(files["clear PLAIN"], "resume", "--channel", "sms")
    letters = postrider(files["TLS SCRAM-SHA-512"], "dlq", "list", "--json")
    replayed = postrider(files["clear SCRAM-SHA-256"], "dlq", "replay", "--all", "--yes")
    reconciled = postrider(files["TLS SCRAM-SHA-512"], "reconcile", "--since", "1h")

    for ended in (shown, looked_up, found, paused, listed, resumed, letters, replayed, reconciled):
        assert ended.code == 0, ended
    assert "security_alert" in shown.out
    assert found.out == shown.out
    assert "sms" in listed.out
    assert json.loads(letters.out)["cause"] == "bad_json"


@contextmanager
def _a_command(site: Site, file: Path, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """One that runs until it is stopped."""
    with subprocess.Popen(
        [sys.executable, "-m", "streams.cli", *arguments, "--config", str(file)],
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def _kafka_goes_away(
    secured: SecuredKafka, site: Site, workers: list[Path], *commands: "subprocess.Popen[str]"
) -> None:
    """Whoever runs says so, and says when it is back."""
    for command in commands:
        assert command.stdout is not None
        assert command.stdout.readline(), "it has begun"
    secured.broker.kill()
    try:
        for command in commands:
            assert re.match(AWAY, _line_on_stderr(command))
        for file in workers:
            site.until_told_by(file, "waiting for Kafka")
    finally:
        secured.broker.start()
    for command in commands:
        while (line := _line_on_stderr(command)) != "Kafka answers again\n":
            assert line.startswith("waiting for Kafka: "), "a Kafka that begins is not ready yet"


def _line_on_stderr(command: "subprocess.Popen[str]") -> str:
    assert command.stderr is not None
    return command.stderr.readline()
