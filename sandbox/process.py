"""The sandbox as a process of its own, beside a demo or a test that kills workers."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class SandboxProcess:
    """`python -m sandbox` in `directory`: ledger, announcement and log lie there.

    Its life is tied to ours by a pipe: when this process dies, in whatever way, the sandbox
    stops, so a crash leaves no orphan.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ports: Mapping[str, int] | None = None,
        script: Path | None = None,
    ) -> None:
        self.ledger_dir = directory / "ledger"
        self.announcement: dict[str, Any] = {}
        """As `Sandbox.announcement`; empty before the start."""
        self._directory = directory
        self._ports = dict(ports or {})
        self._script = script
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the running sandbox; 0 before its start."""
        return self._process.pid if self._process is not None else 0

    async def start(self) -> dict[str, Any]:
        """Start it and wait until it serves.

        Raises:
            RuntimeError: it did not come up; the message holds the end of its log.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        announced = self._directory / "sandbox.json"
        announced.unlink(missing_ok=True)
        log = self._directory / "sandbox.log"
        arguments = ["--ledger", str(self.ledger_dir), "--announce", str(announced), "--tethered"]
        for name, port in self._ports.items():
            arguments += [f"--{name}-port", str(port)]
        if self._script is not None:
            arguments += ["--faults", str(self._script)]
        with log.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sandbox", *arguments,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                start_new_session=True,  # Ctrl-C is for whoever runs us, who then stops it
            )  # fmt: skip
        assert self._process.stdout is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.stdout.readline(), START_SECONDS)
        if not announced.exists():  # it said nothing: it has failed, or hangs
            await self.stop()
            end = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the sandbox did not start:\n{end}")
        self.announcement = msgspec.json.decode(announced.read_bytes())
        return self.announcement

    async def stop(self) -> None:
        """Stop it cleanly; it has written everything down already."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def __aenter__(self) -> "SandboxProcess":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
