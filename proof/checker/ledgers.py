"""A folder of evidence on disk, in JSON lines, as its writers append it.

    rules.json, circumstances.json
    promises.jsonl            all that was said of no user in particular, or concerns others, too
    requests-<shard>.jsonl    single requests, by user
    changes-<shard>.jsonl     what was said of a user, by user
    receipts-<shard>.jsonl    values of the receipts topic, by user; none where none are written
    inbox-<shard>.jsonl       what was put into inboxes, by user; none where nobody reads them
    letters.jsonl             values of the dead letters topic
    ledger/                   the sandbox's own

Users are spread over shards, so that parts of it can be judged apart, in processes of their own.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from proof.checker.evidence import (
    Broadcast,
    Call,
    Change,
    Circumstances,
    Evidence,
    Letter,
    Promise,
    Receipt,
    Refusal,
    Request,
    Shown,
)
from proof.checker.rules import Rules

SHARDS = 16
RULES, CIRCUMSTANCES = "rules.json", "circumstances.json"
PROMISES, LETTERS, LEDGER = "promises.jsonl", "letters.jsonl", "ledger"

T = TypeVar("T")
_CHUNK_BYTES = 1 << 16
"""Lines are decoded this many bytes at a time: few enough for memory that is at hand to do."""


def shard_of(user_id: str) -> int:
    """Not the partitioner's hash: who is judged where must not follow from the pipeline's code."""
    return zlib.crc32(user_id.encode()) % SHARDS


def requests_of(shard: int) -> str:
    return f"requests-{shard:02}.jsonl"


def changes_of(shard: int) -> str:
    return f"changes-{shard:02}.jsonl"


def receipts_of(shard: int) -> str:
    return f"receipts-{shard:02}.jsonl"


def inbox_of(shard: int) -> str:
    return f"inbox-{shard:02}.jsonl"


def file_of(promise: Promise) -> str:
    """Where it is written: in a shard what only one user is judged by."""
    match promise:
        case Request() if not isinstance(promise, Broadcast):
            return requests_of(shard_of(promise.said.user_id))
        case Change() if not promise.said.change.startswith("device_"):  # a phone may change hands
            return changes_of(shard_of(promise.said.user_id))
    return PROMISES


def read(folder: Path) -> Evidence:
    """What concerns everybody; acceptances are read apart, see `calls_in`."""
    found = Evidence(
        rules=msgspec.json.decode((folder / RULES).read_bytes(), type=Rules),
        circumstances=_circumstances(folder),
    )
    for promise in Lines([folder / PROMISES], _decode_promises):
        found.add(promise)
    found.letters += Lines([folder / LETTERS], _decode_letters)
    found.refusals += Lines(sorted((folder / LEDGER).glob("refused-*.jsonl")), _decode_refusals)
    return found


def missing_in(folder: Path) -> list[str]:
    """Without which nothing can be judged: where nothing was asked for, every promise is kept."""
    missing = [each for each in (RULES, CIRCUMSTANCES, LEDGER) if not (folder / each).exists()]
    is_asked = any(folder.glob("requests-*.jsonl")) or any(
        isinstance(each, Broadcast) for each in Lines([folder / PROMISES], _decode_promises)
    )
    missing += [] if is_asked else ["requests-*.jsonl"]
    if CIRCUMSTANCES in missing or _circumstances(folder).has_receipts:
        missing += [] if any(folder.glob("receipts-*.jsonl")) else ["receipts-*.jsonl"]
    return missing


def changes_in(folder: Path, shards: Iterable[int]) -> "Lines[Change]":
    """Of the users of these shards, but for their phones, which `read` tells of."""
    return Lines([folder / changes_of(each) for each in shards], _decode_changes)


def requests_in(folder: Path, shard: int) -> list[Request]:
    """Single ones, of the users of a shard."""
    return list(Lines([folder / requests_of(shard)], _decode_requests))


def receipts_in(folder: Path, shard: int) -> "Lines[Receipt]":
    """Of the users of a shard."""
    return Lines([folder / receipts_of(shard)], _decode_receipts)


def shown_in(folder: Path, shard: int) -> list[Shown]:
    """To the users of a shard."""
    return list(Lines([folder / inbox_of(shard)], _decode_shown))


def calls_in(folder: Path) -> "Lines[Call]":
    """Requests that the sandbox accepted, in the order that it did."""
    return Lines(sorted((folder / LEDGER).glob("ledger-*.jsonl")), _decode_calls)


class Lines(Generic[T]):
    """Of files, one after the other, read from there as often as they are asked for. A line that is
    still being written is left out, and a file that there is not, too."""

    def __init__(self, paths: Sequence[Path], decode: Callable[[bytes], list[T]]) -> None:
        self._paths = paths
        self._decode = decode

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(chain.from_iterable(map(self._chunks, self._paths)))

    def _chunks(self, path: Path) -> Iterator[list[T]]:
        if not path.exists():
            return
        with path.open("rb") as file:
            while lines := file.read(_CHUNK_BYTES) + file.readline():
                yield self._decode(lines[: lines.rfind(b"\n") + 1])
                if not lines.endswith(b"\n"):
                    return


def _circumstances(folder: Path) -> Circumstances:
    return msgspec.json.decode((folder / CIRCUMSTANCES).read_bytes(), type=Circumstances)


def _decode_calls(lines: bytes) -> list[Call]:
    """Without the notes about replies that were not seen: here only the acceptance counts."""
    if b"\n{" in lines or lines.startswith(b"{"):
        lines = b"\n".join(each for each in lines.split(b"\n") if each[:1] == b"[")
    return _decode_accepted(lines)


_decode_promises = msgspec.json.Decoder(Promise).decode_lines
_decode_changes = msgspec.json.Decoder(Change).decode_lines
_decode_requests = msgspec.json.Decoder(Request).decode_lines
_decode_receipts = msgspec.json.Decoder(Receipt).decode_lines
_decode_shown = msgspec.json.Decoder(Shown).decode_lines
_decode_refusals = msgspec.json.Decoder(Refusal).decode_lines
_decode_letters = msgspec.json.Decoder(Letter).decode_lines
_decode_accepted = msgspec.json.Decoder(Call).decode_lines
