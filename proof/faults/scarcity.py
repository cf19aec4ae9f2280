"""What a worker has too little of for seconds: files that it may open, memory."""

import contextlib
import itertools
import os
import resource
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from proof.workers import Slot
from streams.worker import EXIT_FAILED

_LOOK_SECONDS = 0.05


class _Scarcity(Fault, ABC):
    """One worker after the other may have no more of something than it has."""

    limit: ClassVar[int]
    """Of `resource`."""
    least_blows = 4

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=50.0, rate=60.0)

    def why_not(self) -> str:
        return "" if os.geteuid() == 0 else "only root may set back a limit of others"

    async def strike(self, field: Field) -> None:
        # Every other time it has just begun: it has yet to get what it needs.
        for is_new in itertools.cycle((False, True)):
            if not await field.wait(0.5, 2.0):
                return
            slot = await field.victim()
            if slot is None:
                continue
            if is_new:
                await field.workers.stop(slot)
                field.workers.start(slot)
                await field.workers.until_ready([slot])
            await field.stage.note_blow(slot.role, self.name, slot)
            pid = field.workers.pid(slot)
            with contextlib.suppress(ProcessLookupError):  # who comes after it has the usual limit
                before = resource.prlimit(pid, self.limit)
                resource.prlimit(pid, self.limit, (self.taken(pid), before[1]))
                await self._until_over(field, slot)
                resource.prlimit(pid, self.limit, before)
            await field.workers.until_ready([slot])

    async def _until_over(self, field: Field, slot: Slot) -> None:
        """After seconds, or once the worker has ended: what was in its hands then is lost by that."""
        ends, until = len(field.exits), time.monotonic() + field.random.uniform(5.0, 8.0)
        while time.monotonic() < until and await field.wait(_LOOK_SECONDS, _LOOK_SECONDS):
            if len(field.exits) > ends:
                field.stage.note_told_blow(slot.role, "end", None)
                return

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        ends, met = len(field.exits), self.met(field)
        field.notes.append(f"met it {met} times, ended by it {ends} times")
        if not ends + met:
            yield Violation(PROMISE, "no worker has met it")

    @abstractmethod
    def taken(self, pid: int) -> int:
        """What the process has of it."""

    @abstractmethod
    def met(self, field: Field) -> int:
        """How often somebody was refused more."""


class FewFiles(_Scarcity):
    name = "few-files"
    does = "a worker may open no more files and connections than it has, for seconds"
    expects = "what cannot be sent is tried again, or the worker ends with the cause; nothing lost"
    limit = resource.RLIMIT_NOFILE
    exits = (EXIT_FAILED,)

    def taken(self, pid: int) -> int:
        return len(os.listdir(f"/proc/{pid}/fd"))

    def met(self, field: Field) -> int:
        return field.seen.deferred("unreachable")


class LittleMemory(_Scarcity):
    name = "little-memory"
    does = "a worker gets no more memory than it has, for seconds"
    expects = "it goes on, or ends at once; in doubt only its calls in flight, told"
    limit = resource.RLIMIT_DATA
    exits = (EXIT_FAILED, -signal.SIGABRT)

    def taken(self, pid: int) -> int:
        *_, pages, _ = Path(f"/proc/{pid}/statm").read_text().split()
        return int(pages) * resource.getpagesize()

    def met(self, field: Field) -> int:
        return sum(field.log_of(slot).count("MemoryError") for slot in field.stage.slots)
