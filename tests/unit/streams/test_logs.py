"""A log line is constant text and fields, readable by a machine or by a person."""

import ast
import io
import json
import logging
import pathlib
from collections.abc import Iterator

import pytest

from streams import logs
from streams.metrics import Metrics
from streams.observer import WorkerObserver

LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _loggers_afterwards() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_machine_reads_one_object_a_line() -> None:
    stream = io.StringIO()
    logs.configure(level="INFO", stream=stream, role="decide", slot="3")

    logging.getLogger("postrider.x").info("partitions taken over", extra={"partitions": [1, 2]})

    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert said.pop("at").endswith("+00:00")
    assert said == {
        "level": "info",
        "logger": "postrider.x",
        "message": "partitions taken over",
        "role": "decide",
        "slot": "3",
        "partitions": [1, 2],
    }


def test_an_error_stays_on_its_line() -> None:
    stream = io.StringIO()
    logs.configure(level="INFO", stream=stream)

    logging.getLogger("postrider.x").error("ended", exc_info=ValueError("first\nsecond"))

    (line,) = stream.getvalue().splitlines()
    assert "ValueError: first\nsecond" in json.loads(line)["error"]


def test_a_person_reads_text_and_fields() -> None:
    stream = Terminal()
    logs.configure(level="INFO", stream=stream, role="decide", slot="3")

    logging.getLogger("postrider.x").warning("waiting for Kafka", extra={"why": "refused"})

    assert stream.getvalue().endswith(" WARNING decide 3 waiting for Kafka why=refused\n")


def test_what_a_stage_raised_is_told_by_type_and_place_without_its_text() -> None:
    stream = io.StringIO()
    logs.configure(level="INFO", stream=stream)
    number = "+1415" + "5550123"
    try:
        raise ValueError(number)
    except ValueError as error:
        WorkerObserver(Metrics(role="decide", slot=0)).stage_raised("decide", error)

    said = json.loads(stream.getvalue())
    assert (said["message"], said["stage"], said["error"]) == (
        "stage raised",
        "decide",
        "ValueError",
    )
    assert "test_logs.py" in said["traceback"]
    assert number not in stream.getvalue()


def calls_of_log() -> Iterator[tuple[str, ast.Call]]:
    for package in ("agents", "channels", "policies", "schemas", "streams", "tables"):
        for path in sorted(pathlib.Path(package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level)) if (
                        level in LEVELS
                    ):
                        yield f"{path}:{node.lineno}", node


def test_every_log_line_is_constant_text() -> None:
    calls = list(calls_of_log())
    assert len(calls) > 10

    for place, call in calls:
        match call.args:
            case [ast.Constant(value=str() as text)]:
                assert "%" not in text, place
            case _:
                pytest.fail(f"{place}: the text of a log line is constant; what varies is a field")
        assert {keyword.arg for keyword in call.keywords} <= {"extra", "exc_info"}, place


def test_what_aiokafka_mends_by_itself_is_no_error_of_ours() -> None:
    stream = io.StringIO()
    logs.configure(level="INFO", stream=stream)

    logging.getLogger("aiokafka.conn").error("marking the coordinator dead")

    assert stream.getvalue() == ""
