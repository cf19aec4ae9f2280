"""The image holds every package, and the composition speaks of what there is."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from streams.cli.sandbox import app as sandbox_app
from streams.config import load
from streams.topology import ROLES

COMPOSITION: dict[str, Any] = yaml.safe_load(Path("compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSITION["services"]


def packages() -> list[str]:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    return [
        name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]
    ]


def test_every_package_is_copied_into_the_image() -> None:
    copied = re.findall(r"^COPY (\w+) \1$", Path("Dockerfile").read_text(), re.MULTILINE)
    sent = re.findall(r"^!(\w+)$", Path(".dockerignore").read_text(), re.MULTILINE)

    assert set(packages()) == set(copied)
    assert set(packages()) <= set(sent)


def test_a_worker_of_each_role_is_composed() -> None:
    commands = {name: SERVICES[name]["command"] for name in ROLES}

    assert commands == {role: ["worker", role, "--slot", "0"] for role in ROLES}


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "kafka"])
def test_what_a_service_is_told_by_its_environment_is_read(name: str, tmp_path: Path) -> None:
    told: dict[str, str] = SERVICES[name]["environment"]
    read = set(re.findall(r"\$\{(\w+)", Path("faust.yaml").read_text()))

    config = load(Path("faust.yaml"), environment=told, data_dir=tmp_path)

    assert set(told) <= read
    assert config.kafka.shape.bootstrap == "kafka:9092"
    assert (config.partitions, config.kafka.replication) == (8, 1)


def test_the_sandbox_is_told_options_that_it_has() -> None:
    command, *options = SERVICES["sandbox"]["command"]

    context = typer.main.get_command(sandbox_app).make_context(command, options)

    assert context.params["page_port"] == 8080


def test_kafka_keeps_its_data_in_the_volume() -> None:
    kafka = SERVICES["kafka"]

    assert kafka["volumes"] == [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    assert "kafka" in COMPOSITION["volumes"]
