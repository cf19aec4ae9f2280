"""What the provider accepted, as its ledger says: how many so far, and who got what how often."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.whole.people import recipient
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of one broadcast to everybody."""

    lost: int
    """Never accepted, and nobody says so."""
    held: int
    """Never accepted, and reported to be in doubt."""
    duplicated: int
    """Acceptances beyond the first of a recipient."""
    doubts: int
    """Reported to be in doubt, accepted or not."""

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.held or self.duplicated or self.doubts)


def judge(ledger_dir: Path, people: int, *, since: int = 0, doubts: Collection[str]) -> Judgement:
    """Of what was accepted after the first `since` recipients; `doubts` are addresses."""
    times = Counter(_addresses(ledger_dir)[since:])
    missing = {each for each in _everybody(people) if each not in times}
    return Judgement(
        lost=len(missing.difference(doubts)),
        held=len(missing.intersection(doubts)),
        duplicated=times.total() - len(times),
        doubts=len(doubts),
    )


def _addresses(ledger_dir: Path) -> list[str]:
    return [each for line in Accepted(ledger_dir)._lines() for each in line.addresses]


def _everybody(people: int) -> Iterator[str]:
    return (recipient(number).email for number in range(people))
