"""The ledger of what producers were promised: a line after the broker has acknowledged a record."""

import os
import struct
from pathlib import Path

import msgspec

from proof.checker import ledgers
from proof.checker.evidence import Promise, Request

ACKNOWLEDGED = "acknowledged"
_COUNT = struct.Struct("<q")
_encode = msgspec.json.Encoder().encode


class IntentsLedger:
    """Appends to a folder of evidence, each line by one write, so a kill loses none of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, int] = {}
        self._count = os.open(folder / ACKNOWLEDGED, os.O_RDWR | os.O_CREAT, 0o644)
        self.acknowledged = acknowledged(folder)
        """Requests and broadcasts, ever."""

    def append(self, promise: Promise) -> None:
        os.write(self._file(ledgers.file_of(promise)), _encode(promise) + b"\n")
        if isinstance(promise, Request):  # a broadcast is one, too
            self.acknowledged += 1
            os.pwrite(self._count, _COUNT.pack(self.acknowledged), 0)

    def close(self) -> None:
        for each in (*self._files.values(), self._count):
            os.close(each)

    def _file(self, name: str) -> int:
        if name not in self._files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._files[name] = os.open(self._folder / name, flags, 0o644)
        return self._files[name]


def acknowledged(folder: Path) -> int:
    """How many requests and broadcasts a ledger has by now; cheap enough to be asked at each blow."""
    path = folder / ACKNOWLEDGED
    content = path.read_bytes() if path.exists() else b""
    return int(_COUNT.unpack(content)[0]) if len(content) == _COUNT.size else 0
