"""Redis in a process of ours, and as much of its protocol as the harness needs."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from streams.children import spawn
from streams.embedded_kafka import free_ports

_START_SECONDS = 20.0
_CHUNK = 1000
"""Commands on their way at a time."""

Reply = int | str | None


def missing() -> str:
    if shutil.which("redis-server"):
        return ""
    return "needs redis-server on the PATH: apt-get install redis-server"


class Redis:
    """On loopback, append-only file synced every second, as its manual advises for a queue."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    async def command(self, *words: str | bytes) -> Reply:
        """Raises `RuntimeError` when it refuses."""
        await self.commands([words])
        return self._replies[-1]

    async def commands(self, commands: Iterable[Sequence[str | bytes]]) -> None:
        """Many, some at a time: the answers are not told."""
        some: list[bytes] = []
        for words in commands:
            some.append(_encoded(words))
            if len(some) == _CHUNK:
                await self._exchange(some)
                some = []
        await self._exchange(some)

    async def _exchange(self, commands: Sequence[bytes]) -> None:
        self._writer.write(b"".join(commands))
        await self._writer.drain()
        self._replies = [await self._reply() for _ in commands]

    async def _reply(self) -> Reply:
        line = (await self._reader.readuntil(b"\r\n"))[:-2].decode()
        match line[0]:
            case "-":
                raise RuntimeError(f"Redis: {line[1:]}")
            case ":":
                return int(line[1:])
            case _:
                return line[1:]

    async def __aenter__(self) -> "Redis":
        self._folder.mkdir(parents=True, exist_ok=True)
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "everysec"]
        with (self._folder / "redis.log").open("wb") as log:
            self._process = spawn(command, output=log)
        async with asyncio.timeout(_START_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    self._reader, self._writer = await asyncio.open_connection(
                        "127.0.0.1", self._port
                    )
                    return self
                await asyncio.sleep(0.05)

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _encoded(words: Sequence[str | bytes]) -> bytes:
    parts = [each.encode() if isinstance(each, str) else each for each in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)
