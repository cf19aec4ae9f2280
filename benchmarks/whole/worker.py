"""A worker process under measurement, and what it says of itself."""

import asyncio
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.whole.meter import peak_resident_mb
from streams.children import spawn
from streams.worker import PROBES_FILE

_LOOK_SECONDS = 0.05
_COUNT_SECONDS = 0.25
"""Between two scrapes, each of which takes a worker a millisecond or more."""
_READY_SECONDS = 180.0
_SILENT_SECONDS = 1.5
_RESTED_SECONDS = 45.0
"""A store merges its files once nothing has been written to it for half a minute."""
_PATIENCE_SECONDS = 900.0


class Worker:
    """One process, pinned to cores by its command; its folder is that of its slot."""

    def __init__(self, command: Sequence[str], *, log: Path, folder: Path, env: Mapping[str, str]):
        self._log = log
        self._folder = folder
        self._probes = folder / PROBES_FILE
        self._probes.unlink(missing_ok=True)
        self.name = folder.name
        with log.open("ab") as output:
            self._process = spawn(command, output=output, environment=env)
        self.pid = self._process.pid

    async def ready(self) -> float:
        """Wait until it serves; the instant, on the monotonic clock."""
        until = time.monotonic() + _READY_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"a worker did not come up: see {self._log}")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.monotonic()

    async def metric(self, name: str, label: str = "") -> list[float]:
        """The values of all its series, or of those with this label (`status="sent"`)."""
        text = await asyncio.to_thread(self._get, "/metrics")
        found = re.findall(rf"^postrider_{name}{{.*{label}.*}} (\S+)$", text, re.MULTILINE)
        return [float(each) for each in found]

    async def told(self) -> int:
        """Receipts that the process has written."""
        return round(sum(await self.metric("deliveries_total")))

    async def done(self) -> int:
        """Of these, what its role is there for: deliveries that are on their way, or sent. What is
        suppressed, put off or failed is none, and costs less."""
        status = "queued" if self.name.startswith("decide") else "sent"
        return round(sum(await self.metric("deliveries_total", f'status="{status}"')))

    def peak_resident_mb(self) -> float:
        return peak_resident_mb(self.pid)

    def stores(self) -> list[Path]:
        """The local copies of its partitions, `ROLE-KIND-PARTITION`."""
        return sorted((self._folder / "stores").iterdir())

    def files(self) -> list[Path]:
        """Of all of these stores."""
        return [path for store in self.stores() for path in store.rglob("*") if path.is_file()]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """In order, as SIGTERM asks for. Raises `RuntimeError` when it does not end so."""
        self._process.terminate()
        if self._process.wait(60) != 0:
            raise RuntimeError(f"a worker did not stop in order: see {self._log}")

    def lose(self, kind: str) -> None:
        """Remove its copies of one kind, `transient` or `durable`; it must not run."""
        for path in self.stores():
            if f"-{kind}-" in path.name:
                shutil.rmtree(path)

    def _is_ready(self) -> bool:
        try:
            return bool(self._get("/readyz"))
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def _get(self, path: str) -> str:
        port = json.loads(self._probes.read_text())["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            text: str = answer.read().decode()
            return text


async def until_done(workers: Sequence[Worker], count: int) -> float:
    """Wait for so many deliveries of all of them; the instant they were first seen."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while (done := sum([await each.done() for each in workers])) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{done} deliveries of {count}")
        await asyncio.sleep(_COUNT_SECONDS)
    return time.monotonic()


async def until_merged(worker: Worker) -> None:
    """Wait until its stores have no files to merge: theirs have been the same for a while."""
    last, since = set[Path](), time.monotonic()
    until = since + _PATIENCE_SECONDS
    while time.monotonic() - since < _RESTED_SECONDS:
        now = {path for path in worker.files() if path.suffix == ".sst"}
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() > until:
            raise TimeoutError("it never came to rest")
        await asyncio.sleep(_COUNT_SECONDS)


async def until_silent(worker: Worker) -> float:
    """Wait until it has committed nothing for a while; the instant of the last commit seen."""
    last, since = [-1.0], time.monotonic()
    until = since + _PATIENCE_SECONDS
    while time.monotonic() - since < _SILENT_SECONDS:
        now = await worker.metric("transactions_total")
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() > until:
            raise TimeoutError("it never came to rest")
        await asyncio.sleep(_COUNT_SECONDS)
    return since
