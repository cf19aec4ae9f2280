"""Judges a folder of evidence: users are spread over processes, what belongs to all is put together."""

import gc
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection
from operator import or_
from pathlib import Path
from typing import NamedTuple

from proof.checker.accepted import Accepted, message
from proof.checker.background import Background
from proof.checker.cases import Delivery
from proof.checker.evidence import Circumstances, Evidence
from proof.checker.gathered import Cases
from proof.checker.invariants.limits import rates
from proof.checker.invariants.phantoms import unclaimed
from proof.checker.invariants.receipts import of_several_users
from proof.checker.judge import Part, expect_untold, hear, judge_part, whole
from proof.checker.ledgers import (
    SHARDS,
    calls_in,
    changes_in,
    read,
    receipts_in,
    requests_in,
    shard_of,
    shown_in,
)
from proof.checker.verdict import Verdict

_SMALL_BYTES = 32 << 20
"""Another process takes longer to start than to judge so much."""


class _Heard(NamedTuple):
    parts: list[Part]
    claimed: bytes
    """For each message that was accepted, whether a user of these parts accounts for it."""


def judge_folder(folder: Path, *, processes: int | None = None) -> Verdict:
    """All of it; by default with a process a core, if there is much of it. These are forked, since new
    ones would be half a second late: whoever asks for several has no threads beside it.
    """
    if processes is None:
        processes = (os.cpu_count() or 1) if _bytes_in(folder) > _SMALL_BYTES else 1
    found = read(folder)
    if processes == 1:
        heard = [_judge_here(found, folder)]
    else:
        shares = [range(first, SHARDS, processes) for first in range(processes)]
        heard = _judge_apart(found, folder, shares)
    verdict = whole(found, [part for each in heard for part in each.parts])
    _note_unclaimed(folder, found.circumstances, verdict, [each.claimed for each in heard])
    return verdict


def _judge_here(found: Evidence, folder: Path) -> _Heard:
    was_enabled = gc.isenabled()
    gc.disable()  # nothing refers to itself, and there are millions to look through
    try:
        return _Share(found, folder, range(SHARDS)).judge()
    finally:
        if was_enabled:
            gc.enable()


def _judge_apart(found: Evidence, folder: Path, shares: Iterable[Sequence[int]]) -> list[_Heard]:
    """Each share in a process of its own."""
    fork = get_context("fork")
    judges = []
    for shards in shares:
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=_tell, args=(found, folder, shards, theirs), daemon=True)
        process.start()
        theirs.close()  # so that a process that is killed is heard to be gone
        judges.append((process, ours))
    heard = []
    try:
        for process, ours in judges:
            try:
                told: _Heard | Exception = ours.recv()
            except EOFError:
                process.join()
                words = f"a judge ended with {process.exitcode}, and told nothing"
                raise RuntimeError(words) from None
            if isinstance(told, Exception):
                raise told
            heard.append(told)
    finally:  # nothing more is wanted of any
        for process, ours in judges:
            process.kill()
            process.join()
            ours.close()
    return heard


def _tell(found: Evidence, folder: Path, shards: Sequence[int], to: Connection) -> None:
    """The process ends at once with its memory: to give millions of things back one by one would take
    it a tenth of its time."""
    gc.disable()
    try:
        share = _Share(found, folder, shards)
        to.send(share.judge())
    except Exception as error:
        to.send(error)
    os._exit(0)


class _Share:
    """Some of the shards, judged by one process. The ledger is read last: it tells of all users, and
    only ours are worth keeping."""

    def __init__(self, found: Evidence, folder: Path, shards: Sequence[int]) -> None:
        self._found = found
        self._shards = shards
        times: dict[str, list[int]] = {}  # known when the ledger is read; nobody asks before
        changes = chain(found.changes, changes_in(folder, shards))
        self._background = Background(found, changes, times, shard_of, shards)
        deliveries: dict[str, Delivery] = {}
        self._opened = []
        for shard in shards:
            requests, shown = requests_in(folder, shard), shown_in(folder, shard)
            theirs = replace(found, requests=requests, shown=shown)
            cases = Cases(theirs, receipts_in(folder, shard))
            expect_untold(cases, self._background, shard)
            deliveries.update(cases.deliveries)
            self._opened.append(cases)
        self._are_apart = len(deliveries) == sum(len(each.deliveries) for each in self._opened)
        self._accepted = Accepted(calls_in(folder), found.refusals, deliveries)
        times.update(self._accepted.times)

    def judge(self) -> _Heard:
        parts = [
            judge_part(hear(cases, self._background, shard))
            for cases, shard in zip(self._opened, self._shards, strict=True)
        ]
        if 0 in self._shards:  # limits of providers are nobody's in particular
            parts[0].violations += rates(self._found.rules, self._accepted.times)
        if not self._are_apart:
            parts[0].violations += of_several_users(each.deliveries for each in self._opened)
        return _Heard(parts, bytes(self._accepted.claimed))


def _note_unclaimed(
    folder: Path, circumstances: Circumstances, verdict: Verdict, claimed: Sequence[bytes]
) -> None:
    """An acceptance that no part accounts for."""
    length = min(map(len, claimed))  # a ledger may have grown meanwhile
    bits = (int.from_bytes(each[:length], "big") for each in claimed)
    together = reduce(or_, bits).to_bytes(length, "big")
    if 0 in together:
        places = (
            (number, line, place)
            for number, line in enumerate(calls_in(folder))
            for place in range(len(line.delivery_ids))
        )
        for is_claimed, (number, line, place) in zip(together, places, strict=False):
            if not is_claimed:
                stray = message(number, line, place, line.delivery_ids[place])
                verdict.violations.append(unclaimed(circumstances, stray))


def _bytes_in(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*.jsonl"))
