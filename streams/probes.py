"""What a worker tells about itself over HTTP: `/metrics`, `/healthz` (alive), `/readyz` (serving)."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class Probes:
    """A small server; `announce` writes to `announcement` where it listens: `port` 0 is any free one.

    `refresh` is called before each scrape, for gauges that nobody would keep up to date otherwise.
    """

    def __init__(
        self,
        *,
        port: int,
        registry: CollectorRegistry,
        is_ready: Callable[[], bool],
        refresh: Callable[[], None],
        announcement: Path,
        host: str = "0.0.0.0",
    ) -> None:
        self._port = port
        self._host = host
        self._registry = registry
        self._is_ready = is_ready
        self._refresh = refresh
        self._announcement = announcement
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._ready)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    def announce(self) -> None:
        assert self._runner is not None, "started"
        port = self._runner.addresses[0][1]
        self._announcement.parent.mkdir(parents=True, exist_ok=True)
        self._announcement.write_text(json.dumps({"port": port, "pid": os.getpid()}))

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        self._refresh()
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _alive(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _ready(self, request: web.Request) -> web.Response:
        """Ready only after recovery: an assignment alone serves nobody."""
        if self._is_ready():
            return web.Response(text="ready\n")
        return web.Response(status=503, text="recovering or without partitions\n")
