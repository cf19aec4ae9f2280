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

from proof.checker.accepted import Accepted, message
from proof.checker.background import Background
from proof.checker.cases import Delivery
from proof.checker.evidence import Circumstances, Evidence
from proof.checker.gathered import Cases
from proof.checker.invariants.limits import rates
from proof.checker.invariants.phantoms import unclaimed
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
    """The ledger is read last: it tells of all users, and only ours are worth keeping."""
    was_enabled = gc.isenabled()
    gc.disable()  # nothing refers to itself, and there are millions to look through
    try:
        times: dict[str, list[int]] = {}  # known when the ledger is read; nobody asks before
        changes = chain(found.changes, changes_in(folder, shards))
        background = Background(found, changes, times, shard_of, shards)
        deliveries: dict[str, Delivery] = {}
        opened = []
        for shard in shards:
            requests, shown = requests_in(folder, shard), shown_in(folder, shard)
            theirs = replace(found, requests=requests, shown=shown)
            cases = Cases(theirs, receipts_in(folder, shard))
            expect_untold(cases, background, shard)
            deliveries.update(cases.deliveries)
            opened.append(cases)
        accepted = Accepted(calls_in(folder), found.refusals, deliveries)
        times.update(accepted.times)
        parts = [
            judge_part(hear(cases, background, shard))
            for cases, shard in zip(opened, shards, strict=True)
        ]
        if 0 in shards:  # limits of providers are nobody's in particular
            parts[0].violations += rates(found.rules, accepted.times)
        return _Heard(parts, bytes(accepted.claimed))
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
        places = (
            (number, line, place)
            for number, line in enumerate(calls_in(folder))
            for place in range(len(line.delivery_ids))
        )
        for is_claimed, each in zip(together, places, strict=False):
            if not is_claimed:
                verdict.violations.append(unclaimed(circumstances, message(*each)))


def _bytes_in(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*.jsonl"))
