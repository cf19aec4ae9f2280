"""Clocks of workers that are set wrong while they run."""

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from policies.clock import SystemClock
from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from proof.mutants.base import replace
from streams.topology import ROLES
from streams.watched_clock import ClockAskew
from streams.worker import EXIT_LOST

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_WRONG_MS = (-_DAY_MS, -_HOUR_MS, _HOUR_MS, _DAY_MS)
_LOOK_SECONDS = 0.02


class ClockSet(Fault):
    name = "clock-set"
    does = "the clock of a worker is an hour or a day off for seconds, forwards or back"
    expects = (
        "the worker ends, until its clock is right, and nothing is decided by the wrong one; in doubt "
        "only its calls in flight, told"
    )
    exits = (EXIT_LOST,)
    least_blows = 4

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=60.0)

    async def strike(self, field: Field) -> None:
        if not _file(field, ROLES[0]).exists():
            await _give_them_clocks(field)
        while await field.wait(1.0, 3.0):
            slot = await field.victim()
            if slot is None:
                continue
            await field.stage.note_blow(slot.role, "clock", slot)
            _set(_file(field, slot.role), field.random.choice(_WRONG_MS))
            await field.wait(2.0, 4.0)
            _set(_file(field, slot.role), 0)
            await field.workers.until_ready([slot])

    def judge(self, field: Field) -> Iterator[Violation]:
        """The last may have been put right at once, when the load was over."""
        yield from super().judge(field)
        ends = sum(field.log_of(slot).count(ClockAskew.__name__) for slot in field.stage.slots)
        field.notes.append(f"workers ended {ends} times because their clock was wrong")
        unnoticed = Counter(each.role for each in field.blows) - Counter(
            slot.role for slot, code in field.exits if code == EXIT_LOST
        )
        if unnoticed.total() > 1:
            yield Violation(PROMISE, f"nobody minded that clocks were wrong: {dict(unnoticed)}")


async def _give_them_clocks(field: Field) -> None:
    """Of their own, for all rounds of this stage."""
    for role in ROLES:
        _set(_file(field, role), 0)
        field.workers.prepare(role, partial(go_by, _file(field, role)))
    for slot in field.stage.slots:
        await field.workers.stop(slot)
        field.workers.start(slot)
    await field.workers.until_ready(field.stage.slots)


def go_by(file: Path) -> None:
    """In the process of a worker, before it begins: its clock is off by as many ms as the file says."""
    right_ms, elapsed_seconds = SystemClock.now_ms, time.monotonic
    looked_at, off_ms = 0.0, 0

    def now_ms(self: SystemClock) -> int:
        nonlocal looked_at, off_ms
        if elapsed_seconds() > looked_at + _LOOK_SECONDS:
            looked_at, off_ms = elapsed_seconds(), int(file.read_text())
        return right_ms(self) + off_ms

    replace(SystemClock, "now_ms", now_ms)


def _set(file: Path, off_ms: int) -> None:
    new = file.with_suffix(".new")
    new.write_text(str(off_ms))
    new.rename(file)


def _file(field: Field, role: str) -> Path:
    return field.stage.folder / f"clock-{role}"
