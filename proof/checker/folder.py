"""Judges a folder of evidence: users are spread over processes, what belongs to all is put together."""

import gc
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import reduce
from itertools import chain
from multiprocessing import get_context
from operator import or_
from pathlib import Path
from typing import NamedTuple

from proof.checker.accepted import Accepted
from proof.checker.background import Background
from proof.checker.evidence import Circumstances, Evidence
from proof.checker.gathered import Cases
from proof.checker.invariants.limits import rates
from proof.checker.invariants.phantoms import unclaimed
from proof.checker.judge import Part, hear, judge_part, whole
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
    """For each delivery that was accepted, whether a user of these parts accounts for it."""


def judge_folder(folder: Path, *, processes: int | None = None) -> Verdict:
    """All of it; by default with a process a core, if there is much of it. These are forked, since new
    ones would be half a second late: whoever asks for several has no threads beside it.
    """
    if processes is None:
        processes = (os.cpu_count() or 1) if _bytes_in(folder) > _SMALL_BYTES else 1
    ours, *others = [range(first, SHARDS, processes) for first in range(processes)]
    with ProcessPoolExecutor(len(others) or 1, mp_context=get_context("fork")) as pool:
        futures = [pool.submit(_hear, folder, shards) for shards in others]
        found = read(folder)
        heard = [_judge(found, folder, ours), *(each.result() for each in futures)]
    verdict = whole(found, [part for each in heard for part in each.parts])
    _note_unclaimed(folder, found.circumstances, verdict, [each.claimed for each in heard])
    return verdict


def _hear(folder: Path, shards: Sequence[int]) -> _Heard:
    """In a process of its own."""
    return _judge(read(folder), folder, shards)


def _judge(found: Evidence, folder: Path, shards: Sequence[int]) -> _Heard:
    """One shard after the other: memory that is used again is faster than memory that is new."""
    was_enabled = gc.isenabled()
    gc.disable()  # nothing refers to itself, and there are millions to look through
    try:
        changes = chain(found.changes, changes_in(folder, shards))
        accepted = Accepted(calls_in(folder), found.refusals)
        background = Background(found, changes, accepted.times, shard_of, shards)
        parts = []
        for shard in shards:
            requests, shown = requests_in(folder, shard), shown_in(folder, shard)
            theirs = replace(found, requests=requests, shown=shown)
            cases = Cases(theirs, receipts_in(folder, shard), accepted.of, background.plain)
            parts.append(judge_part(hear(cases, background, shard)))
        if 0 in shards:  # limits of providers are nobody's in particular
            parts[0].violations += rates(found.rules, accepted.times)
        return _Heard(parts, accepted.claimed_by(background.delivery_ids))
    finally:
        if was_enabled:
            gc.enable()


def _note_unclaimed(
    folder: Path, circumstances: Circumstances, verdict: Verdict, claimed: Sequence[bytes]
) -> None:
    """An acceptance that no part accounts for."""
    length = min(map(len, claimed))  # a ledger may have grown meanwhile
    bits = (int.from_bytes(each[:length], "big") for each in claimed)
    together = reduce(or_, bits).to_bytes(length, "big")
    if 0 in together:
        for each in Accepted(calls_in(folder)).unclaimed(together):
            verdict.violations.append(unclaimed(circumstances, each))


def _bytes_in(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*.jsonl"))
