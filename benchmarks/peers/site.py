"""`Site`: one peer, installed and filled with people, on the same cores beside the same provider."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers.contents import of_peers
from benchmarks.peers.workers.work import READY
from benchmarks.whole.lab import WORKER_CORE
from policies.rules import InDoubt
from sandbox.process import SandboxProcess
from streams.children import spawn

PYTHON = sys.executable
CHECKOUT = Path(__file__).parents[2]
_LOOK_SECONDS = 0.05
_READY_SECONDS = 180.0


class Site(ABC):
    """Broker and sandbox run already. All that follows is the worker's: `start`, `kill`, again."""

    broker_pid: int
    roles: Sequence[str] = ("email",)
    """What of it a kill strikes, in the words of the checker."""
    has_receipts = False
    """Whether they say what the checker asks for, and are in `evidence`."""
    in_doubt: InDoubt = "resend"
    contents = of_peers()
    """What its mails say, by locale."""

    def __init__(self, folder: Path, sandbox: SandboxProcess) -> None:
        self.folder = folder
        self.sandbox = sandbox

    @property
    @abstractmethod
    def pids(self) -> Sequence[int]:
        """Of the worker processes that run."""

    @abstractmethod
    def start(self) -> None:
        """Without waiting."""

    @abstractmethod
    async def ready(self) -> None:
        """Wait until it takes work. Raises `RuntimeError` when it does not come up."""

    @abstractmethod
    def kill(self) -> None:
        """kill -9 of all of it."""

    @abstractmethod
    async def request(self, number: int) -> float:
        """Ask for the broadcast, to everybody; the instant before, on the monotonic clock."""

    @abstractmethod
    async def told(self) -> int:
        """Receipts that were written so far."""

    @abstractmethod
    async def is_idle(self) -> bool:
        """Whether nothing waits for a worker, as its broker says."""

    @property
    def evidence(self) -> Path:
        """The folder by which it is judged."""
        return self.folder / "evidence"


def name_of(number: int) -> str:
    """What peers call a broadcast."""
    return f"broadcast-{number}"


class OwnWorker(Site):
    """A peer whose worker is one process of ours, and the processes that it starts."""

    _process: "subprocess.Popen[bytes]"

    @property
    @abstractmethod
    def command(self) -> Sequence[str]: ...

    @property
    @abstractmethod
    def broker(self) -> str:
        """Where it is, as the worker's client wants to be told."""

    @property
    def pids(self) -> Sequence[int]:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [pid, *map(int, children.read_text().split())] if children.exists() else []

    def start(self) -> None:
        (self.folder / READY).unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = spawn(
                ["taskset", "-c", WORKER_CORE, *self.command], output=log, environment=self.env
            )

    async def ready(self) -> None:
        until = time.monotonic() + _READY_SECONDS
        while not (self.folder / READY).exists():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"a worker did not come up: see {self._log}")
            await asyncio.sleep(_LOOK_SECONDS)

    def kill(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    @property
    def _log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def env(self) -> Mapping[str, str]:
        provider = self.sandbox.announcement["sendgrid"]
        return {
            "PEER_FOLDER": str(self.folder),
            "PEER_PROVIDER": provider["base_url"],
            "PEER_API_KEY": provider["api_key"],
            "PEER_BROKER": self.broker,
            "PYTHONPATH": str(CHECKOUT),
        }
