"""Structured logs: constant text plus fields, one JSON object a line or a readable line on a terminal.

No address, token or message content is ever a field: callers pass ids, counts and names.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that logging puts on every record; whatever else there is was given as a field."""

_QUIET = {
    # aiokafka says ERROR for what it mends by itself a moment later (a coordinator that moves).
    "aiokafka": logging.CRITICAL,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    # Faust's services of ours log under their module's name; what we say is under `postrider`.
    "streams": logging.WARNING,
    "httpx": logging.WARNING,
}


class _Fields(logging.Formatter):
    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        return {name: value for name, value in vars(record).items() if name not in _OWN}


class JsonLines(_Fields):
    """For machines."""

    def __init__(self, **constant: str) -> None:
        super().__init__()
        self._constant = constant

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._constant,
            **self.fields(record),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


class Lines(_Fields):
    """For people."""

    def __init__(self, **constant: str) -> None:
        super().__init__()
        self._prefix = " ".join(constant.values())

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in self.fields(record).items())
        line = f"{at} {record.levelname:<7} {self._prefix} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(*, level: str, stream: TextIO | None = None, **constant: str) -> None:
    """Set up logging for this process; JSON unless the stream is a terminal."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines(**constant) if stream.isatty() else JsonLines(**constant))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
