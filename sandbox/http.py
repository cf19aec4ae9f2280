"""A small HTTP/1.1 server for load: httptools parses, one request of a connection at a time is answered.

aiohttp costs six times the CPU for a small request (58 against 10 µs, `benchmarks/provider_sandbox.py`),
and the sandbox shares its core with the broker; aiohttp serves the page only.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import httptools

MAX_BODY_BYTES = 40 * 1024 * 1024  # above every vendor's own limit, which the vendor words itself
MAX_HEADER_BYTES = 64 * 1024
MAX_WAITING = 64
"""Pipelined requests held while one is being answered; then the connection is not read any more."""

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}


@dataclass(slots=True)
class Request:
    """One request, complete; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


@dataclass(slots=True, frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"

    def encode(self, *, keep_alive: bool = True) -> bytes:
        head = [_STATUS_LINES.get(self.status) or f"HTTP/1.1 {self.status} Unknown\r\n"]
        if self.body:
            head.append(f"Content-Type: {self.content_type}\r\n")
        head += [f"{name}: {value}\r\n" for name, value in self.headers]
        head.append(f"Content-Length: {len(self.body)}\r\n")
        head.append("\r\n" if keep_alive else "Connection: close\r\n\r\n")
        return "".join(head).encode("latin-1") + self.body


class Connection(asyncio.Protocol):
    """One client. `handle` is called with a request and must end it by one call of `send`,
    `finish` or `abort`, at once or later; the next request of the connection waits for that."""

    def __init__(
        self, handle: Callable[[Request, "Connection"], None], open_connections: set["Connection"]
    ) -> None:
        self._handle = handle
        self._open = open_connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._serving = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape only
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()
        self._open.discard(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(Reply(400))
        except httptools.HttpParserError:
            self._refuse(Reply(400))
        self._serve()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(Reply(431))
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if int(self._headers.get("content-length") or 0) > MAX_BODY_BYTES:
            self._refuse(Reply(413))
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        self._body_bytes += len(chunk)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse(Reply(413))
        else:
            self._body.append(chunk)

    def on_message_complete(self) -> None:
        url = httptools.parse_url(self._url)
        self._waiting.append(
            Request(
                method=self._parser.get_method().decode("latin-1"),
                path=(url.path or b"/").decode("latin-1"),
                query=(url.query or b"").decode("latin-1"),
                headers=self._headers,
                body=self._body[0] if len(self._body) == 1 else b"".join(self._body),
                keep_alive=self._parser.should_keep_alive(),
            )
        )
        if len(self._waiting) > MAX_WAITING and self._transport is not None:
            self._transport.pause_reading()

    # What the handler calls.

    def send(self, reply: Reply) -> bool:
        """Answer the current request; False when the client has gone away without the reply."""
        if self._transport is None or self._current is None:
            return False
        self._transport.write(reply.encode(keep_alive=self._current.keep_alive))
        self.finish()
        return True

    def write(self, piece: bytes) -> bool:
        """Write a piece of a reply; `finish` after the last one."""
        if self._transport is not None:
            self._transport.write(piece)
        return self._transport is not None

    def finish(self) -> None:
        keep_alive = self._current is None or self._current.keep_alive
        self._current = None
        if self._transport is not None and not keep_alive:
            self._transport.close()
        self._serve()

    def abort(self) -> None:
        """Reset the connection: whatever was not answered never will be."""
        if self._transport is not None:
            self._transport.abort()

    def _serve(self) -> None:
        if self._serving:  # the loop below goes on by itself: a handler that answers at once
            return  # must not recurse, or pipelined requests would exhaust the stack
        self._serving = True
        while self._waiting and self._current is None and self._transport is not None:
            self._current = self._waiting.popleft()
            self._handle(self._current, self)
        self._serving = False
        if self._transport is not None and len(self._waiting) <= MAX_WAITING:
            self._transport.resume_reading()

    def _refuse(self, reply: Reply) -> None:
        """Answer what cannot be read on from, then hang up; replies before it that are still
        owed cannot be overtaken, so then without an answer."""
        if self._transport is None:
            return
        if self._current is None and not self._waiting:
            self._transport.write(reply.encode(keep_alive=False))
            self._transport.close()
        else:
            self._transport.abort()
        self._transport = None  # what the parser still finds in the data at hand is not served
