"""Judges a folder of evidence: users are spread over processes, what belongs to all is put together."""

import gc
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from proof.checker.cases import Cases
from proof.checker.hearing import Hearing
from proof.checker.invariants.limits import rates
from proof.checker.invariants.phantoms import unclaimed
from proof.checker.judge import Part, judge_part, whole
from proof.checker.ledgers import SHARDS, accepts_in, calls_in, read
from proof.checker.verdict import Verdict
from sandbox.ledger import Line

_SMALL_BYTES = 32 << 20
"""Another process takes longer to start than to judge so much."""


class _Heard(NamedTuple):
    part: Part
    claimed: bytes
    """For each message that was accepted, whether a user of this part accounts for it."""


def judge_folder(folder: Path, *, processes: int | None = None) -> Verdict:
    """All of it; by default with a process a core, if there is much of it."""
    if processes is None:
        processes = (os.cpu_count() or 1) if _bytes_in(folder) > _SMALL_BYTES else 1
    shares = [range(first, SHARDS, processes) for first in range(processes)]
    if processes == 1:
        heard = [_hear(folder, shares[0])]
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            heard = list(pool.map(_hear, [folder] * processes, shares))
    verdict = whole(read(folder, ()), [each.part for each in heard])
    _note_unclaimed(folder, verdict, [each.claimed for each in heard])
    return verdict


def _hear(folder: Path, shards: Sequence[int]) -> _Heard:
    was_enabled = gc.isenabled()
    gc.disable()  # nothing refers to itself, and there are millions to look through
    try:
        found, claimed = read(folder, shards), bytearray()
        cases = Cases(found)
        times: defaultdict[str, list[int]] = defaultdict(list)
        calls = _noting(calls_in(folder), times)
        cases.take_accepts(accepts_in(calls, cases.deliveries, claimed))
        part = judge_part(Hearing(found, cases))
        if 0 in shards:  # limits of providers are nobody's in particular
            part.violations += rates(found.rules, times)
        return _Heard(part, bytes(claimed))
    finally:
        if was_enabled:
            gc.enable()


def _noting(calls: Iterable[Line], times: defaultdict[str, list[int]]) -> Iterator[Line]:
    for line in calls:
        times[line.provider].append(line.at_ms)
        yield line


def _note_unclaimed(folder: Path, verdict: Verdict, claimed: Sequence[bytes]) -> None:
    """An acceptance that no part accounts for."""
    length = min(map(len, claimed))  # a ledger may have grown meanwhile
    claims = [int.from_bytes(each[:length], "big") for each in claimed]
    everybodys = 0
    for each in claims:
        everybodys |= each
    together = everybodys.to_bytes(length, "big")
    if together.count(0) == 0:
        return
    place = 0
    for line in calls_in(folder):
        for delivery_id in line.delivery_ids:
            if place < length and not together[place]:
                found = unclaimed(line.provider, delivery_id, line.at_ms)
                verdict.violations.append(found)
            place += 1


def _bytes_in(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*.jsonl"))
