"""How many the provider has accepted so far, as its ledger says: `proof/checker` judges who got what."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from sandbox.ledger import Line

_decode_lines = msgspec.json.Decoder(Line).decode_lines


class Accepted:
    """Of the sandbox's newest start; reads on from where it was."""

    def __init__(self, ledger_dir: Path) -> None:
        self._file = max(ledger_dir.glob("ledger-*.jsonl"))
        self._read = 0
        self.count = 0
        self.last_ms = 0
        """When the last of them was accepted."""

    def look(self) -> int:
        """Recipients so far."""
        for line in self._lines():
            self.count += len(line.addresses)
            self.last_ms = line.at_ms
        return self.count

    def _lines(self) -> Iterator[Line]:
        with self._file.open("rb") as file:
            file.seek(self._read)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        # Notes on replies that nobody waited for: the victim's.
        yield from _decode_lines(
            b"\n".join(each for each in whole.split(b"\n") if each[:1] == b"[")
        )
