"""The ledger: what the providers' side accepted, append-only, the judge of every other count.

One JSON line per accepted request, written by one `write` before the reply leaves, so the
kill of a worker loses nothing and a line is there once its reply was seen. A request for a
thousand recipients is one line of columns. A reply that did not reach its client is stated
by a later line. Every start of a sandbox begins a file of its own in the directory.

    [sequence, at_ms, provider, status, message_id, round, attempt,
     [delivery_id...], [notification_id...], [address...], [body_hash...]]
    {"unanswered": sequence}

Requests that were refused have files of their own beside it, `refused-*.jsonl`, with lines of

    [at_ms, provider, status, again_ms, round, attempt, [delivery_id...], [address...]]
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted message."""

    at_ms: int
    provider: str
    status: int
    """What the reply said, or would have said."""
    message_id: str
    """The provider's; of a batch, that of the request."""
    round: int
    attempt: int
    delivery_id: str
    """Empty when the client sent none."""
    notification_id: str
    address: str
    body_hash: int
    is_answered: bool
    """False when the reply was withheld, or the client was gone before it was written."""


class Line(msgspec.Struct, array_like=True, gc=False):
    """One accepted request; the last four columns are as long as it has messages."""

    sequence: int
    at_ms: int
    provider: str
    status: int
    message_id: str
    round: int
    attempt: int
    delivery_ids: list[str]
    notification_ids: list[str]
    addresses: list[str]
    body_hashes: list[int]


class Refused(msgspec.Struct, array_like=True, gc=False):
    """One request that was not accepted."""

    at_ms: int
    provider: str
    status: int
    """Of the reply; 0 where there was none."""
    again_ms: int
    """When the `Retry-After` of the reply is over; 0 where it has none."""
    round: int = 0
    attempt: int = 0
    delivery_ids: list[str] = []
    """These and the addresses are left out where the vendor itself refuses, not told to."""
    addresses: list[str] = []


class Unanswered(msgspec.Struct):
    unanswered: int


_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(Line).decode
_decode_unanswered = msgspec.json.Decoder(Unanswered).decode


class LedgerWriter:
    """Appends to new files in `directory`. An `OSError` means: not written, so not to be answered."""

    def __init__(self, directory: Path, started_ms: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        name = f"{started_ms:013d}-{os.getpid()}.jsonl"
        self.path = directory / f"ledger-{name}"
        self._file, self._refusals = (
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for path in (self.path, directory / f"refused-{name}")
        )
        self._sequence = 0

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def append(self, line: Line) -> None:
        _write(self._file, _encode(line) + b"\n")

    def refuse(self, refused: Refused) -> None:
        _write(self._refusals, _encode(refused) + b"\n")

    def unanswered(self, sequence: int) -> None:
        """The reply of that line did not reach its client."""
        _write(self._file, _encode(Unanswered(sequence)) + b"\n")

    def close(self) -> None:
        for each in (self._file, self._refusals):
            os.fsync(each)
            os.close(each)


def read_ledger(path: Path) -> Iterator[Entry]:
    """The messages of a ledger file, or of all files of a directory, in order of acceptance.

    Safe beside a running sandbox: a line that is still being written is left out.
    """
    files = sorted(path.glob("ledger-*.jsonl")) if path.is_dir() else [path]
    for file in files:
        lines = [line for line in file.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"]
        unanswered = {_decode_unanswered(line).unanswered for line in lines if line[:1] == b"{"}
        for raw in lines:
            if raw[:1] == b"[":
                yield from _entries(_decode_line(raw), unanswered)


def _entries(line: Line, unanswered: set[int]) -> Iterator[Entry]:
    is_answered = line.sequence not in unanswered
    columns = zip(
        line.delivery_ids, line.notification_ids, line.addresses, line.body_hashes, strict=True
    )
    for delivery_id, notification_id, address, body_hash in columns:
        yield Entry(
            line.at_ms, line.provider, line.status, line.message_id, line.round, line.attempt,
            delivery_id, notification_id, address, body_hash, is_answered,
        )  # fmt: skip


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
