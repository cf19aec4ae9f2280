"""A log line is constant text and fields, readable by a machine or by a person."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from streams import logs


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


def test_what_aiokafka_mends_by_itself_is_no_error_of_ours() -> None:
    stream = io.StringIO()
    logs.configure(level="INFO", stream=stream)

    logging.getLogger("aiokafka.conn").error("marking the coordinator dead")

    assert stream.getvalue() == ""
