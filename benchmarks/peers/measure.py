"""Runs of a peer: one that is metered, and one whose worker is killed again and again."""

import asyncio
import contextlib
import os
import random
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.evidence import Evidence, Judgement
from benchmarks.peers.ledger import Accepted
from benchmarks.peers.peer import Peer
from benchmarks.peers.site import Site
from benchmarks.whole.lab import HARNESS_CORE
from benchmarks.whole.meter import Meter
from benchmarks.whole.run import Stretch

_COUNT_SECONDS = 0.1
_WATCH_SECONDS = 0.005
_PATIENCE_SECONDS = 1800.0
_STILL_SECONDS = 5.0
_LOST_SECONDS = 90.0
"""A mail that was not sent by then is lost: longer than any of them lets work lie that it could do,
be it for a session, a visibility timeout or a first retry."""
_WITHIN_SECONDS = 0.1
"""After a share of the people was reached, the kill comes at a random moment of this long."""


async def metered(peer: Peer, people: int, folder: Path) -> Stretch:
    """Raises `RuntimeError` when it did not send to everybody once: a rate of that means nothing."""
    async with _running(peer, people, folder) as (site, evidence):
        if peer.is_warmed_up:
            await evidence.ask()
            await _until_told(site, people)
        stretch = await _meter(site, evidence, people)
        await _until_idle(site)
        verdict = await evidence.judge()
        if not verdict.is_clean:
            raise RuntimeError(f"{peer.name} did not send to everybody once: {verdict}")
    return stretch


@dataclass(frozen=True, slots=True)
class Struck:
    """A broadcast whose worker was killed again and again."""

    verdict: Judgement
    kills: int
    """Of workers that were ready and had people to send to: fewer than asked for, or none, when it
    came to rest before."""
    seconds: float
    """From the request to the last acceptance."""


async def struck(peer: Peer, people: int, folder: Path, *, kills: int, seed: int) -> Struck:
    """kill -9 at random shares of the people, the same for all peers with a seed; started at once.

    A share that was passed while the worker came up is passed: the next kill comes when it is ready.
    """
    moments = random.Random(seed)
    shares = sorted(moments.random() for _ in range(kills))
    async with _running(peer, people, folder) as (site, evidence):
        accepted = Accepted(site.sandbox.ledger_dir)
        began_ms = time.time() * 1000
        await evidence.ask()
        done = 0
        for share in shares:
            if not await _has_accepted(accepted, share * people):
                break
            await asyncio.sleep(moments.uniform(0, _WITHIN_SECONDS))
            if accepted.look() >= people:  # its broker may not know yet that anything ever waited
                break
            evidence.note_kill()
            site.kill()
            site.start()
            await site.ready()  # one that is still importing has nothing in hand
            done += 1
        verdict = await _until_at_rest(site, evidence, accepted)
        return Struck(verdict, done, (accepted.last_ms - began_ms) / 1000)


@contextlib.asynccontextmanager
async def _running(peer: Peer, people: int, folder: Path) -> AsyncIterator[tuple[Site, Evidence]]:
    """Its worker takes work, on a core of its own."""
    _empty(folder)
    os.sched_setaffinity(0, {int(HARNESS_CORE)})  # children inherit it
    async with peer.opened(folder, people) as site:
        evidence = Evidence(site, people)
        site.start()
        try:
            await site.ready()
            yield site, evidence
        finally:
            site.kill()


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


async def _meter(site: Site, evidence: Evidence, people: int) -> Stretch:
    told = await site.told()
    meter = Meter(
        {
            "worker": list(site.pids),
            "broker": [site.broker_pid],
            "harness": [os.getpid(), site.sandbox.pid],
        }
    )
    stretch = Stretch("broadcast", True, meter.began)
    stretch.began = await evidence.ask()
    await _until_told(site, told + people)
    stretch.end(time.monotonic(), count=people)
    stretch.cpu = meter.spent().cpu
    return stretch


async def _until_told(site: Site, count: int) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while (told := await site.told()) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{told} receipts of {count}")
        await asyncio.sleep(_COUNT_SECONDS)


async def _has_accepted(accepted: Accepted, count: float) -> bool:
    """Waits for so many; False when it has come to rest before."""
    since = time.monotonic()
    while (before := accepted.count) < count:
        if accepted.look() > before:
            since = time.monotonic()
        if time.monotonic() - since > _LOST_SECONDS:
            return False
        await asyncio.sleep(_WATCH_SECONDS)
    return True


async def _until_idle(site: Site) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not await site.is_idle():
        if time.monotonic() > until:
            raise TimeoutError("something still waits")
        await asyncio.sleep(_COUNT_SECONDS)


async def _until_at_rest(site: Site, evidence: Evidence, accepted: Accepted) -> Judgement:
    """Nothing waits, and nothing was accepted for a while; for long, where somebody is missing."""
    until = time.monotonic() + _PATIENCE_SECONDS
    count, since, patience = accepted.look(), time.monotonic(), _STILL_SECONDS
    while time.monotonic() < until:
        if accepted.look() != count or not await site.is_idle():
            count, since, patience = accepted.count, time.monotonic(), _STILL_SECONDS
        if time.monotonic() - since > patience:
            verdict = await evidence.judge()
            if not verdict.lost or patience > _STILL_SECONDS:
                return verdict
            patience = _LOST_SECONDS
        await asyncio.sleep(_COUNT_SECONDS)
    raise TimeoutError(f"it never came to rest; {count} were accepted")
