"""`Kept`: records in a file, a line each, appended as they come: an interruption loses none."""

from pathlib import Path
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Kept(Generic[T]):
    def __init__(self, path: Path, kind: type[T]) -> None:
        self._path = path
        decode = msgspec.json.Decoder(kind).decode
        self.all: list[T] = []
        if path.exists():
            self.all = [decode(line) for line in path.read_bytes().splitlines()]

    def append(self, record: T) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")
        self.all.append(record)
