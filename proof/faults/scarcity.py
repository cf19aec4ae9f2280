"""What a worker has too little of for seconds: files that it may open, memory."""

import contextlib
import itertools
import os
import resource
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.faults.storms import PROVIDERS
from proof.load.plan import LoadPlan
from proof.workers import Slot
from streams.worker import EXIT_FAILED

_LOOK_SECONDS = 0.05


class _Scarcity(Fault, ABC):
    """One worker after the other may have no more of something than it has."""

    limit: ClassVar[int]
    """Of `resource`."""
    says: ClassVar[Sequence[str]]
    """What the line has in it by which a worker tells why it ends."""
    least_blows = 4

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=50.0, rate=60.0)

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
            began_ms = (await field.stage.note_blow(slot.role, self.name, slot)).at_ms
            ends, pid = _ends(field, slot), field.workers.pid(slot)
            # Who comes after it has the usual limit.
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                before = resource.prlimit(pid, self.limit)
                resource.prlimit(pid, self.limit, (self.taken(pid), before[1]))
                await self._until_over(field, slot, ends)
                resource.prlimit(pid, self.limit, before)
            if _ends(field, slot) > ends:  # what was in its hands then is lost by that
                field.stage.note_told_blow(slot.role, "end", None)
            await field.workers.until_ready([slot])
            if slot.role in PROVIDERS:  # which it may not have reached
                field.stage.note_storm(slot.role, began_ms, ("refuse",))

    async def _until_over(self, field: Field, slot: Slot, ends: int) -> None:
        """After seconds, or once the worker has ended."""
        until = time.monotonic() + field.random.uniform(5.0, 8.0)
        while time.monotonic() < until and await field.wait(_LOOK_SECONDS, _LOOK_SECONDS):
            if _ends(field, slot) > ends:
                return

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        lines = [
            line for slot in field.stage.slots for line in field.log_of(slot).splitlines()
            if "worker ends" in line
        ]  # fmt: skip
        told = sum(any(each in line for each in self.says) for line in lines)
        ends = sum(code == EXIT_FAILED for _, code in field.exits)
        met = self.met(field) + len(field.exits)
        field.notes.append(f"met it {met} times, of these ended by it {len(field.exits)}")
        if not met:
            yield Violation(PROMISE, "no worker has met it")
        elif told < ends:
            yield Violation(PROMISE, f"of {ends} ends {told} have told the cause")

    @abstractmethod
    def taken(self, pid: int) -> int:
        """What the process has of it, so that it gets no more."""

    @abstractmethod
    def met(self, field: Field) -> int:
        """How often it was felt by who has not ended by it."""


class FewFiles(_Scarcity):
    name = "few-files"
    does = "a worker may open no more files and connections than it has, for seconds"
    expects = "what cannot be sent is tried again, or the worker ends with the cause; nothing lost"
    limit = resource.RLIMIT_NOFILE
    exits = (EXIT_FAILED,)
    says = ("Too many open files",)

    def taken(self, pid: int) -> int:
        """Its first number that is free: those are limited, not how many are taken."""
        numbers = set(map(int, os.listdir(f"/proc/{pid}/fd")))
        return next(each for each in itertools.count() if each not in numbers)

    def met(self, field: Field) -> int:
        return field.seen.deferred("unreachable")


class LittleMemory(_Scarcity):
    name = "little-memory"
    does = "a worker gets no more memory than it has, for seconds"
    expects = "it goes on, or ends at once; in doubt only its calls in flight, told"
    limit = resource.RLIMIT_DATA
    exits = (EXIT_FAILED, -signal.SIGABRT)
    says = ("MemoryError", "Cannot allocate memory", "memory allocation")

    def taken(self, pid: int) -> int:
        *_, pages, _ = Path(f"/proc/{pid}/statm").read_text().split()
        return int(pages) * resource.getpagesize()

    def met(self, field: Field) -> int:
        return sum(field.log_of(slot).count("MemoryError") for slot in field.stage.slots)


def _ends(field: Field, slot: Slot) -> int:
    return sum(who == slot for who, _ in field.exits)
