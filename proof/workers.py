"""`Workers`: the processes that faults strike; what dies is started again, as a supervisor would."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from proof.worker_process import Prepare, WorkerProcess
from streams.children import spawn
from streams.faust_app import GroupSettings
from streams.worker import PROBES_FILE, slot_folder

_LOOK_SECONDS = 0.05
_READY_SECONDS = 120.0
_STOP_SECONDS = 45.0


class Slot(NamedTuple):
    role: str
    number: int

    def __str__(self) -> str:
        return f"{self.role}-{self.number}"


class WorkerFailed(RuntimeError):
    """Raised when a worker does not come up; its text is the end of its log."""


class Workers:
    """Each slot has one process at most, wanted or not."""

    def __init__(
        self, *, config_file: Path, data_dir: Path, environment: Mapping[str, str]
    ) -> None:
        self._config_file = config_file
        self._data_dir = data_dir
        self._environment = {**os.environ, **environment}
        self._prepared: defaultdict[str | Slot, list[Prepare]] = defaultdict(list)
        self._code: dict[str, Path | None] = {}
        self._processes: dict[Slot, WorkerProcess | subprocess.Popen[bytes]] = {}
        self._wanted: set[Slot] = set()
        self._watching: asyncio.Task[None] | None = None
        self.exits: list[tuple[Slot, int]] = []
        """Every end that was not asked for, in order, with its exit code; negative is a signal."""
        self.stops: list[tuple[Slot, int]] = []
        """Likewise, of clean stops."""

    def prepare(self, whose: str | Slot, prepare: Prepare) -> None:
        """What processes of this role or slot do, too, before they begin, from their next start on."""
        self._prepared[whose].append(prepare)

    def forget(self, whose: str | Slot, prepare: Prepare) -> None:
        """From their next start on they do this no more."""
        self._prepared[whose].remove(prepare)

    def use_code(self, role: str, folder: Path | None) -> None:
        """From their next start on, the role's processes run the code that lies there; None: ours."""
        self._code[role] = folder

    @property
    def slots(self) -> list[Slot]:
        """Those that are wanted and run."""
        return sorted(
            slot for slot in self._wanted if slot in self._processes and self.is_running(slot)
        )

    def is_running(self, slot: Slot) -> bool:
        return self._processes[slot].poll() is None

    def pid(self, slot: Slot) -> int:
        """Of its process, which may have ended."""
        return self._processes[slot].pid

    def start(self, slot: Slot) -> None:
        self._wanted.add(slot)
        self._spawn(slot)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    def send(self, slot: Slot, number: signal.Signals) -> None:
        """A signal: `SIGKILL`, `SIGSTOP`, `SIGCONT`."""
        self._processes[slot].send_signal(number)

    async def stop(self, slot: Slot) -> int:
        """A clean stop, for good; returns the exit code."""
        self._wanted.discard(slot)
        process = self._processes[slot]
        was_running = process.poll() is None
        process.terminate()
        try:
            code = await asyncio.to_thread(process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = await asyncio.to_thread(process.wait)
        if was_running:
            self.stops.append((slot, code))
        return code

    async def kill(self, slot: Slot) -> None:
        """kill -9, for good."""
        self._wanted.discard(slot)
        self._processes[slot].kill()
        await asyncio.to_thread(self._processes[slot].wait)

    async def until_ready(self, slots: Sequence[Slot]) -> None:
        """Until they serve partitions."""
        await self._until(self.is_ready, slots)

    async def until_members(self, slots: Sequence[Slot]) -> None:
        """Until they may call providers: who has lost its partitions says that it serves them until it
        hears of that, and may not call."""
        await self._until(self.may_call, slots)

    async def _until(self, is_so: Callable[[Slot], bool], slots: Sequence[Slot]) -> None:
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        for slot in slots:
            while not await asyncio.to_thread(is_so, slot):
                if asyncio.get_running_loop().time() > deadline:
                    raise WorkerFailed(f"{slot}: {self.log_of(slot).read_text()[-3000:]}")
                await asyncio.sleep(0.1)

    def is_ready(self, slot: Slot) -> bool:
        return self.metrics(slot).get(_named("postrider_ready", slot)) == 1.0

    def may_call(self, slot: Slot) -> bool:
        """Whether its lease and its tails are good."""
        return self.metrics(slot).get(_named("postrider_may_call", slot)) == 1.0

    def serving_calls(self, slot: Slot) -> int:
        """Provider calls in flight of one that serves partitions; -1 of one that does not."""
        told = self.metrics(slot)
        if told.get(_named("postrider_ready", slot)) != 1.0:
            return -1
        return round(told.get(_named("postrider_open_calls", slot), 0.0))

    def open_calls(self, slot: Slot) -> int:
        """Provider calls in flight, as the worker says; 0 where it cannot say."""
        return round(self.metrics(slot).get(_named("postrider_open_calls", slot), 0.0))

    def metrics(self, slot: Slot) -> dict[str, float]:
        """What it tells of itself now; nothing while it does not answer."""
        try:
            port = json.loads((self.folder_of(slot) / PROBES_FILE).read_text())["port"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1) as answer:
                lines = answer.read().decode().splitlines()
        except (OSError, ValueError):
            return {}
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def folder_of(self, slot: Slot) -> Path:
        """Where it keeps what it knows."""
        group = GroupSettings(role=slot.role, slot=slot.number, data_dir=self._data_dir)
        return slot_folder(group)

    def log_of(self, slot: Slot) -> Path:
        return self._data_dir / "logs" / f"{slot}.log"

    def log_size(self, slot: Slot) -> int:
        """In bytes, so far."""
        path = self.log_of(slot)
        return path.stat().st_size if path.exists() else 0

    async def close(self) -> None:
        """End all at once: what they have in hand is of no interest any more."""
        self._wanted.clear()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for process in self._processes.values():
            process.kill()
            process.wait()

    async def _watch(self) -> None:
        """Start again what ends, as a supervisor does."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for slot, process in list(self._processes.items()):
                code = process.poll()
                if code is not None and slot in self._wanted:
                    self.exits.append((slot, code))
                    self._spawn(slot)

    def _spawn(self, slot: Slot) -> None:
        arguments = [slot.role, "--slot", str(slot.number), "--once"]
        arguments += ["--config", str(self._config_file), "--data-dir", str(self._data_dir)]
        log = self.log_of(slot)
        log.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # its disk may be one that nobody can write to
            (self.folder_of(slot) / PROBES_FILE).unlink()
        code = self._code.get(slot.role)
        if code is not None:
            self._processes[slot] = _foreign(code, arguments, self._environment, log)
            return
        self._processes[slot] = WorkerProcess(
            arguments,
            environment=self._environment,
            log=log,
            prepare=partial(_do_all, [*self._prepared[slot.role], *self._prepared[slot]]),
        )


def _do_all(prepared: Sequence[Prepare]) -> None:
    for each in prepared:
        each()


def _foreign(
    code: Path, arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "streams.cli", "worker", *arguments]
    with log.open("ab") as file:
        return spawn(command, output=file, environment={**environment, "PYTHONPATH": str(code)})


def _named(metric: str, slot: Slot) -> str:
    return f'{metric}{{role="{slot.role}",slot="{slot.number}"}}'
