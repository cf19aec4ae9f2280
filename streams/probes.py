"""What a worker tells about itself over HTTP: `/metrics`, `/healthz` (alive), `/readyz` (serving)."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class Probes:
    """A small server on loopback or all interfaces; `port` 0 means none."""

    def __init__(
        self,
        *,
        port: int,
        registry: CollectorRegistry,
        is_ready: Callable[[], bool],
        host: str = "0.0.0.0",
    ) -> None:
        self._port = port
        self._host = host
        self._registry = registry
        self._is_ready = is_ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        if not self._port:
            return
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._ready)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
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
