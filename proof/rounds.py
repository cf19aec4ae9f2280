"""One round: load, a fault beside it, rest, and the checker over everything so far."""

import asyncio
import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from proof.checker.folder import judge_folder
from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from proof.origin import commit, machine, now
from proof.results import Result, Struck
from proof.stage import Stage
from proof.workers import WorkerFailed
from streams.children import die_with_parent
from streams.demo.lag import Lag

_QUIET_SECONDS = 2.5
"""Nothing open, nothing waiting and no receipt for so long: everything is at rest."""
_LOOK_SECONDS = 0.5
_ANSWER_SECONDS = 20.0
NO_CHANGES: Mapping[str, Any] = {}


class LoadFailed(RuntimeError):
    """Raised when the load ends before it is done; its text is what it said."""


async def play(
    stage: Stage,
    fault: Fault,
    *,
    seed: int,
    first: int,
    changes: Mapping[str, Any] = NO_CHANGES,
    rest_seconds: float | None = None,
) -> Result:
    """On an open stage. `first`: the number of the first intent, higher than any before.
    `changes` are of the fault's plan; `rest_seconds` instead of the fault's."""
    began = time.monotonic()
    plan = msgspec.structs.replace(fault.plan(seed, first), **changes)
    field = Field(stage, random.Random(seed), plan)
    failures: list[Violation] = []
    try:
        await _strike_under_load(fault, field)
    except (WorkerFailed, LoadFailed) as error:
        failures = [failure_of(error)]
    ended = time.monotonic()
    is_at_rest = not failures and await until_rest(stage, rest_seconds or fault.rest_seconds)
    rested = time.monotonic()
    stage.seal(is_at_rest=is_at_rest)
    before, counts = stage.tally, Counter[str]()
    if not failures:  # or else producers may not know what they were promised
        verdict = await asyncio.to_thread(judge_folder, stage.evidence, processes=1)
        stage.tally, counts = verdict.tally, verdict.tally.counts - before.counts
        failures = [*verdict.violations, *fault.judge(field)]
    return Result(
        fault=fault.name,
        seed=seed,
        commit=commit(),
        machine=machine(),
        at=now(),
        seconds=round(time.monotonic() - began, 1),
        rest_seconds=round(rested - ended, 1),
        intents=counts["requests"] + counts["broadcasts"],
        deliveries=counts["deliveries"],
        accepts=counts["accepts"],
        struck=[
            Struck(blow, len(left))
            for blow, left in zip(field.blows, field.left_in_doubt(), strict=True)
        ],
        doubts=dict(stage.tally.doubts - before.doubts),
        violations=failures,
        note="; ".join(field.notes),
        evidence=str(stage.evidence) if failures else "",
    )


def unplayed(fault: Fault, seed: int, error: WorkerFailed, evidence: Path) -> Result:
    """A round whose workers did not come up before it."""
    return Result(
        fault=fault.name, seed=seed, commit=commit(), machine=machine(), at=now(), seconds=0.0,
        rest_seconds=0.0, intents=0, deliveries=0, accepts=0, violations=[failure_of(error)],
        evidence=str(evidence),
    )  # fmt: skip


def failure_of(error: Exception) -> Violation:
    """Of a round that could not be played to its end: no mutant is caught by that."""
    what = (
        "a worker does not come up" if isinstance(error, WorkerFailed) else "the load ended early"
    )
    return Violation(PROMISE, f"{what}: {error}")


async def _strike_under_load(fault: Fault, field: Field) -> None:
    async with _load(field.stage, field.plan) as load:
        await load.until("known")
        striking = asyncio.create_task(fault.strike(field))
        done = asyncio.create_task(load.until("done"))
        done.add_done_callback(lambda _: field.is_over.set())
        try:
            await asyncio.gather(striking, done)
        finally:
            for task in (striking, done):
                task.cancel()
            await asyncio.gather(striking, done, return_exceptions=True)


async def until_rest(stage: Stage, within_seconds: float) -> bool:
    """Whether all came to rest in that time."""
    deadline = time.monotonic() + within_seconds
    async with _lag(stage) as lag:
        while time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            quiet_seconds = time.monotonic() - stage.collector.heard_at
            if quiet_seconds < _QUIET_SECONDS or stage.collector.open_deliveries:
                continue
            with contextlib.suppress(KafkaError, TimeoutError):  # whose client was shaken, too
                waiting = await asyncio.wait_for(lag.waiting(), _ANSWER_SECONDS)
                # Of a group without offsets nothing seems to wait: whoever serves has written some.
                if waiting == 0 and await _all_serve(stage) and not stage.collector.open_deliveries:
                    return True
    return False


async def _all_serve(stage: Stage) -> bool:
    for slot in stage.slots:
        if not await asyncio.to_thread(stage.workers.is_ready, slot):
            return False
    return True


class _Load:
    """The process of `proof.load`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def until(self, word: str) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.decode().strip() == word:
                return
        raise LoadFailed(self._log.read_text()[-3000:])


@contextlib.asynccontextmanager
async def _load(stage: Stage, plan: LoadPlan) -> AsyncIterator[_Load]:
    arguments = [str(stage.evidence), str(stage.config_file), msgspec.json.encode(plan).decode()]
    path = stage.folder / "load.log"
    with path.open("wb") as log:  # no pipe: nobody would read it, and it is full one day
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "proof.load", *arguments,
            env={**os.environ, **stage.environment},
            stdout=asyncio.subprocess.PIPE, stderr=log,
            preexec_fn=die_with_parent,
        )  # fmt: skip
    try:
        yield _Load(process, path)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def _lag(stage: Stage) -> AsyncIterator[Lag]:
    lag = Lag(connection=stage.config.kafka.connection(), names=stage.config.kafka.names)
    await lag.start()
    try:
        yield lag
    finally:
        await lag.close()
