"""`postrider topics` against a real cluster, as a person and as a script would use it."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.cli import main
from streams.embedded_kafka import EmbeddedKafka

Run = Callable[..., tuple[object, str]]


@pytest.fixture
def topics(
    kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs `postrider topics ...` for an installation of its own; returns exit code and output."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("KAFKA_REPLICATION", "1")
    monkeypatch.setenv("POSTRIDER_PARTITIONS", "2")
    monkeypatch.setenv("POSTRIDER_TOPIC_PREFIX", f"{uuid.uuid4().hex[:8]}.")

    def run(*arguments: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["topics", *arguments, "-c", str(Path("faust.yaml").resolve())])
        return ended.value.code, capsys.readouterr().out

    return run


def test_what_was_created_is_found_to_be_right(topics: Run) -> None:
    before, told = topics("check")
    created, created_told = topics("create")
    again, again_told = topics("create", "--json")
    after, after_told = topics("check")

    assert (before, created, again, after) == (1, 0, 0, 0)
    assert "refused" in told
    assert "postrider topics create" in told
    assert "created" in created_told
    assert json.loads(again_told) == {"created": []}
    assert after_told == "every topic is as it should be\n"


def test_a_difference_is_told_to_a_script_with_what_to_do(
    topics: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics("create")
    monkeypatch.setenv("POSTRIDER_PARTITIONS", "4")

    code, told = topics("check", "--json")

    differences = json.loads(told)["differences"]
    assert code == 1
    assert {each["setting"] for each in differences} == {"partitions"}
    assert {(each["expected"], each["found"]) for each in differences} == {("4", "2")}
    assert all(each["weight"] == "refused" and each["advice"] for each in differences)
