"""The page and the control API, on a port of their own.

GET    /                        the page
GET    /_sandbox/messages       ?channel=&user=&limit=
GET    /_sandbox/stats
GET    /_sandbox/events         Server-Sent Events: new messages and counts
GET    /_sandbox/faults         rules in force, with how often they were met
POST   /_sandbox/faults         a fault script (`sandbox/faults.py`), JSON or YAML; 201 with ids
DELETE /_sandbox/faults[/{id}]
PUT    /_sandbox/listeners/{provider}   {"open": false}: connections are refused
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from sandbox.clock import Clock
from sandbox.faults import Faults, parse_script
from sandbox.feed import Feed

EVENT_SECONDS = 0.5
"""How often an open page is told what is new: seen as live, and free under load."""
MAX_MESSAGES_PER_EVENT = 40
MAX_LIMIT = 500
_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)


class _ListenerState(msgspec.Struct, forbid_unknown_fields=True):
    open: bool


class Page:
    """Serves what `feed` holds; changes `faults` and, through `listen`, the providers' ports."""

    def __init__(
        self,
        *,
        feed: Feed,
        faults: Faults,
        listen: Callable[[str, bool], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self.port = 0
        self._feed = feed
        self._faults = faults
        self._listen = listen
        self._clock = clock
        self._stopping = asyncio.Event()
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/_sandbox/messages", self._messages),
                web.get("/_sandbox/stats", self._stats),
                web.get("/_sandbox/events", self._events),
                web.get("/_sandbox/faults", self._list_faults),
                web.post("/_sandbox/faults", self._add_faults),
                web.delete("/_sandbox/faults", self._remove_faults),
                web.delete("/_sandbox/faults/{id:[0-9]+}", self._remove_faults),
                web.put("/_sandbox/listeners/{provider}", self._set_listener),
                web.static("/static", _STATIC),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def start(self, host: str, port: int) -> None:
        await self._runner.setup()
        listening = socket.create_server((host, port))
        self.port = listening.getsockname()[1]
        await web.SockSite(self._runner, listening).start()

    async def stop(self) -> None:
        self._stopping.set()
        await self._runner.cleanup()

    async def _index(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        return web.FileResponse(_STATIC / "index.html", headers=headers)

    async def _messages(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= MAX_LIMIT):
            return _json({"error": f"limit is a number from 1 to {MAX_LIMIT}"}, 400)
        messages = self._feed.messages(
            channel=request.query.get("channel", ""),
            user=request.query.get("user", ""),
            limit=int(limit),
        )
        return _json({"messages": messages})

    async def _stats(self, request: web.Request) -> web.Response:
        return _json({"providers": self._feed.describe(self._clock())})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        after_id = self._feed.last_id
        while not self._stopping.is_set():
            messages = self._feed.messages(after_id=after_id, limit=MAX_MESSAGES_PER_EVENT)
            after_id = self._feed.last_id
            now = self._clock()
            event = {"messages": messages, "providers": self._feed.describe(now)}
            try:
                await response.write(b"data: " + msgspec.json.encode(event) + b"\n\n")
            except ConnectionError:
                break
            try:
                await asyncio.wait_for(self._stopping.wait(), EVENT_SECONDS)
            except TimeoutError:
                continue
        return response

    async def _list_faults(self, request: web.Request) -> web.Response:
        return _json({"faults": self._faults.describe()})

    async def _add_faults(self, request: web.Request) -> web.Response:
        try:
            script = parse_script(await request.read())
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return _json({"ids": self._faults.add(script, self._clock())}, 201)

    async def _remove_faults(self, request: web.Request) -> web.Response:
        rule_id = request.match_info.get("id")
        removed = self._faults.remove(int(rule_id) if rule_id is not None else None)
        if rule_id is not None and removed == 0:
            return _json({"error": "no such fault"}, 404)
        return _json({"removed": removed})

    async def _set_listener(self, request: web.Request) -> web.Response:
        provider = request.match_info["provider"]
        try:
            state = msgspec.json.decode(await request.read(), type=_ListenerState)
            await self._listen(provider, state.open)
        except msgspec.MsgspecError as error:
            return _json({"error": str(error)}, 400)
        except KeyError:
            return _json({"error": "no such provider"}, 404)
        return _json({"provider": provider, "open": state.open})


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
