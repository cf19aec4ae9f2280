"""`Ensemble`: the embedded Kafka, the sandbox and a worker a role, started and stopped in order."""

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.process import SandboxProcess
from streams.children import spawn
from streams.embedded_kafka import EmbeddedKafka
from streams.faust_app import GroupSettings
from streams.topology import ROLES
from streams.worker import PROBES_FILE, slot_folder

_READY_SECONDS = 90.0
_STOP_SECONDS = 40.0
_LOOK_SECONDS = 0.2


class NotReady(RuntimeError):
    """Raised when a part did not come up; its text says which and where its log is."""


class Ensemble:
    """Children of this process: whatever happens to it, none of them stays behind."""

    def __init__(
        self,
        *,
        config_file: Path,
        data_dir: Path,
        environment: Mapping[str, str] | None = None,
        say: Callable[[str], None],
    ) -> None:
        self._config_file = config_file.resolve()
        self._data_dir = data_dir.resolve()
        self._environment = dict(environment or {})
        self._say = say
        self._kafka = EmbeddedKafka(self._data_dir / "kafka")
        self._sandbox = SandboxProcess(self._data_dir / "sandbox")
        self._workers: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def page(self) -> str:
        """Where the sandbox shows what it accepted."""
        return str(self._sandbox.announcement["page"])

    def start_kafka(self) -> None:
        """Before the event loop: the broker lives as long as the thread that starts it."""
        self._say("starting Kafka (the first time its jars are fetched)")
        self._kafka.start()

    async def keep_kafka(self) -> None:
        """Start it again whenever it ends by itself, for ever; the workers wait meanwhile.

        Raises:
            KafkaUnavailable: it does not start any more.
        """
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self._kafka.is_running:
                self._say("Kafka ended by itself: starting it again")
                self._kafka.start()  # of the main thread, as before; nothing else waits for it
                self._say("Kafka is back")

    async def start_sandbox(self) -> None:
        self._say("starting the provider sandbox")
        await self._sandbox.start()

    async def start_workers(self) -> None:
        """One a role; returns when all of them serve."""
        for role in ROLES:
            self._start_worker(role)
        self._say("waiting for the workers")
        await asyncio.gather(*(self._until_ready(role) for role in ROLES))

    async def stop(self) -> None:
        """Workers first, so that they can still write what they drain."""
        self._say("stopping: open calls end, nothing is left in doubt")
        for worker in self._workers.values():
            worker.terminate()
        await asyncio.gather(*(asyncio.to_thread(_end, each) for each in self._workers.values()))
        await self._sandbox.stop()

    def stop_kafka(self) -> None:
        """Last of all, and after the event loop."""
        self._kafka.stop()

    def memory_mib(self) -> dict[str, int]:
        """Resident size of every worker and of Kafka."""
        sizes = {role: _resident_mib(self._pid_of(role)) for role in self._workers}
        return sizes | {"kafka": _resident_mib(self._kafka.pid or 0)}

    def _start_worker(self, role: str) -> None:
        self._probes_of(role).unlink(missing_ok=True)
        command = [sys.executable, "-m", "streams.cli", "worker", role, "--slot", "0"]
        command += ["--config", str(self._config_file), "--data-dir", str(self._data_dir)]
        log = self._log_of(role)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._workers[role] = spawn(command, output=output, environment=self._environment)

    async def _until_ready(self, role: str) -> None:
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        while not await asyncio.to_thread(self._is_ready, role):
            if self._workers[role].poll() is not None:
                raise NotReady(f"the {role} worker ended at its start: see {self._log_of(role)}")
            if asyncio.get_running_loop().time() > deadline:
                raise NotReady(f"the {role} worker is not ready: see {self._log_of(role)}")
            await asyncio.sleep(_LOOK_SECONDS)

    def _is_ready(self, role: str) -> bool:
        try:
            port = json.loads(self._probes_of(role).read_text())["port"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def _pid_of(self, role: str) -> int:
        return int(json.loads(self._probes_of(role).read_text())["pid"])

    def _probes_of(self, role: str) -> Path:
        group = GroupSettings(role=role, slot=0, data_dir=self._data_dir)
        return slot_folder(group) / PROBES_FILE

    def _log_of(self, role: str) -> Path:
        return self._data_dir / "logs" / f"{role}.log"


def _end(worker: "subprocess.Popen[bytes]") -> None:
    try:
        worker.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _resident_mib(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * 4096 // (1024 * 1024)
