"""What cannot work is refused before it is started: which, where, and what to do, a line each."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.config import load
from streams.demo.run import create_topics
from streams.embedded_kafka import EmbeddedKafka
from streams.supervisor import EXIT_CONFIG

SECONDS = 60
NO_KAFKA = {"KAFKA_BOOTSTRAP": "127.0.0.1:9", "POSTRIDER_PARTITIONS": "8"}
"""Who waits for it has not looked at the file first."""
ITS_OWN_SECRETS = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"}

Tree = dict[str, Any]


def postrider(
    *arguments: str, environment: Mapping[str, str], most_files: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """As a person runs it."""
    clean = {name: each for name, each in os.environ.items() if not name.startswith("POSTRIDER")}
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        preexec_fn=partial(_allow_files, most_files) if most_files is not None else None,
    )


def _allow_files(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def a_file(folder: Path, change: Callable[[Tree], object]) -> Path:
    """The repository's configuration with a fault, beside a copy of its templates."""
    tree = yaml.safe_load(Path("faust.yaml").read_text())
    tree["data"] = str(folder / "data")
    change(tree)
    shutil.copytree("templates", folder / "templates")
    file = folder / "faust.yaml"
    file.write_text(yaml.safe_dump(tree))
    return file


def forget_a_template(tree: Tree) -> None:
    tree["sandbox"] = False
    tree["types"]["refund"] = {"category": "transactional", "channels": ["sms"]}


@pytest.mark.parametrize(
    ("arguments", "fault", "told"),
    [
        (["decide"], lambda tree: tree.update(kafak=tree.pop("kafka")),
         "kafak: unknown; did you mean kafka?"),
        (["decide", "--once"], lambda tree: tree["breaker"].update(error_ratio=1.5),
         "breaker.error_ratio: expected 1.0 or less, got 1.5"),
        (["decide"], lambda tree: tree["ingress"][0].update(tenants=[]),
         "ingress[0].tenants: expected at least one"),
        (["email"], lambda tree: tree.update(sandbox=False),
         "providers.sendgrid.api_key: missing secret; expected it in SENDGRID_API_KEY"),
        (["sms"], forget_a_template,
         "types.refund: missing template {folder}/templates/refund/default/sms.text.j2"),
        (["sms", "--once"], forget_a_template,
         "types.refund: missing template {folder}/templates/refund/default/sms.text.j2"),
    ],
    ids=["unknown key", "bad range", "nobody's topic", "missing secret", "missing template",
         "missing template, once"],
)  # fmt: skip
def test_a_worker_refuses_a_wrong_file_in_one_line_before_it_looks_for_kafka(
    tmp_path: Path, arguments: list[str], fault: Callable[[Tree], object], told: str
) -> None:
    file = a_file(tmp_path, fault)
    environment = NO_KAFKA | ITS_OWN_SECRETS

    ended = postrider("worker", *arguments, "--config", str(file), environment=environment)

    assert ended.returncode == EXIT_CONFIG
    assert ended.stderr == f"postrider: {file}: {told.format(folder=tmp_path)}\n"
    assert ended.stdout == ""
    assert not (tmp_path / "data").exists(), "it began to work"


def test_a_worker_whose_port_is_taken_says_so_before_it_looks_for_kafka(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        file = a_file(tmp_path, lambda tree: tree.update(workers={"metrics_port": port}))

        ended = postrider("worker", "decide", "--config", str(file), environment=NO_KAFKA)

    assert ended.returncode == EXIT_CONFIG
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"postrider: workers.metrics_port: {port}, that of this role and slot, ")
    assert line.endswith("end what listens there, or choose another (0 for any that is free)")


@pytest.mark.parametrize("words", [["decide"], ["decide", "--once"]])
def test_a_worker_that_may_open_too_few_files_says_so(tmp_path: Path, words: list[str]) -> None:
    file = a_file(tmp_path, lambda tree: tree)

    ended = postrider("worker", *words, "--config", str(file), environment=NO_KAFKA, most_files=200)

    assert ended.returncode == EXIT_CONFIG
    assert ended.stderr == (
        "postrider: a process may have 200 files open here, and this one needs 228 at least: "
        "raise the hard limit (ulimit -Hn, LimitNOFILE)\n"
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["worker", "decide"], 2),
        (["worker", "decide", "--once"], EXIT_CONFIG),
        (["lookup"], 2),
    ],
)
def test_who_cannot_write_to_the_data_folder_says_so_in_one_line(
    tmp_path: Path, words: list[str], code: int
) -> None:
    (tmp_path / "a file").touch()  # root may write to any folder, but not into a file
    file = a_file(tmp_path, lambda tree: tree.update(data=str(tmp_path / "a file" / "data")))

    told = postrider(*words, "--config", str(file), environment=NO_KAFKA)

    assert told.returncode == code
    (line,) = told.stderr.splitlines()
    assert "cannot be written (not a directory): mend its disk, or name another with" in line


def test_everything_on_one_machine_is_refused_in_a_line_before_any_of_it_is_started(
    tmp_path: Path,
) -> None:
    file, data = (
        a_file(tmp_path, lambda tree: tree.update(workers={"open_calls": 0})),
        tmp_path / "data",
    )

    ended = postrider("up", "--config", str(file), "--data-dir", str(data), environment={})

    assert ended.returncode == 2
    assert ended.stderr == f"postrider: {file}: workers.open_calls: expected 1 or more, got 0\n"
    assert not data.exists()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"POSTRIDER_PARTITIONS": "4"}, "partitions is 2, expected 4: the number is for life"),
        ({"KAFKA_REPLICATION": "3"}, "replication is 1, expected 3: add replicas with kafka-re"),
    ],
    ids=["partitions", "replication"],
)
async def test_a_worker_refuses_a_cluster_that_is_laid_out_otherwise(
    kafka: EmbeddedKafka, tmp_path: Path, other: dict[str, str], told: str
) -> None:
    prefix = f"r{uuid.uuid4().hex[:8]}."
    installed = {
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "KAFKA_REPLICATION": "1",
        "POSTRIDER_PARTITIONS": "2",
        "POSTRIDER_TOPIC_PREFIX": prefix,
    }
    file = a_file(tmp_path, lambda tree: None)
    await create_topics(load(file, environment=installed))

    ended = postrider("worker", "decide", "--config", str(file), environment=installed | other)

    assert ended.returncode == EXIT_CONFIG
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"postrider: {prefix}notifications.requested.critical, ")
    assert told in line
    assert not list((tmp_path / "data").glob("*/stores")), "it took partitions over"
