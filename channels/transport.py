"""HTTP to a provider: one pool of connections, a bound on every call, no exception to handle.

Whatever can go wrong on the way becomes an outcome here and nowhere else. What matters is
whether the request may have left: a call that never got a connection is safe to repeat,
anything later may have been carried out although nobody heard of it.
"""

import asyncio
import socket
import ssl
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import aiohappyeyeballs

from channels.connection import Connection
from channels.reply import Reply
from channels.settings import ProviderSettings
from schemas.outcome import NotProcessed, Unknown

_CONNECT_SHARE = 0.3
"""Of the time of a call, for getting a connection: the rest must be enough for an answer."""

_KEEP_ALIVE_SECONDS = 15.0
"""Shorter than any provider's: a request sent into a connection that the provider is just
closing is lost without a trace, so its outcome would be unknown."""

_OTHER_FAMILY_SECONDS = 0.25
"""After it an address of the other family (IPv6, IPv4) is tried beside the first: RFC 8305."""

_HOT_HEADS = 64
"""A provider has a URL or two, and a token now and then."""

_NEVER_LEFT = NotProcessed(consumes_attempt=True, reason="unreachable")
_TIMEOUT = Unknown(reason="timeout")
_LOST = Unknown(reason="connection_lost")


class _Origin(NamedTuple):
    host: str
    port: int
    is_tls: bool


class Transport:
    """One provider's connections."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._places = asyncio.Semaphore(settings.connections)
        self._kept: defaultdict[_Origin, list[Connection]] = defaultdict(list)
        """Those that nobody uses, the last used at the end."""
        self._tls: ssl.SSLContext | None = None

    async def start(self) -> None:
        """Makes ready to connect.

        Raises:
            OSError: the CA bundle cannot be read.
            ssl.SSLError: the CA bundle holds no certificate.
        """
        self._tls = ssl.create_default_context(cafile=self._settings.ca_bundle)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float
    ) -> Reply | NotProcessed | Unknown:
        """The provider's answer, whatever its status, or what kept it from us.

        `start` must have been called. Redirects are answers: to follow one could send twice.

        Raises:
            ValueError: the URL or a header is none.
        """
        if self._tls is None:
            raise RuntimeError("start the transport before the first request")
        origin, head = _head(url, tuple(headers.items()))
        now = asyncio.get_running_loop().time()
        connect_by, answer_by = now + timeout_seconds * _CONNECT_SHARE, now + timeout_seconds
        try:
            await self._enter(connect_by)
        except TimeoutError:
            return _NEVER_LEFT
        try:
            connection = self._kept_one(origin, now) or await self._connect(origin, connect_by)
            request = b"%b%d\r\n\r\n" % (head, len(body)), body
            return await self._exchange(origin, connection, request, answer_by)
        except OSError:  # there was none in time, or not at all
            return _NEVER_LEFT
        finally:
            self._places.release()

    async def close(self) -> None:
        """Closes all connections, those in use after their answer; safe to call twice and without
        `start`."""
        self._tls = None
        for kept in self._kept.values():
            for connection in kept:
                connection.close()
        self._kept.clear()

    async def _exchange(
        self, origin: _Origin, connection: Connection, request: tuple[bytes, bytes], until: float
    ) -> Reply | Unknown:
        try:
            return await connection.exchange(request, until)
        except TimeoutError:
            return _TIMEOUT
        except OSError:
            return _LOST
        finally:
            self._keep(origin, connection)

    async def _enter(self, until: float) -> None:
        if not self._places.locked():
            await self._places.acquire()  # at once, so it needs no timer
            return
        async with asyncio.timeout_at(until):
            await self._places.acquire()

    async def _connect(self, origin: _Origin, until: float) -> Connection:
        loop = asyncio.get_running_loop()
        host, port, is_tls = origin
        async with asyncio.timeout_at(until):
            addresses = await loop.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
            connected = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=_OTHER_FAMILY_SECONDS
            )
            _, connection = await loop.create_connection(
                Connection,
                sock=connected,
                ssl=self._tls if is_tls else None,
                server_hostname=host if is_tls else None,
            )
        return connection

    def _kept_one(self, origin: _Origin, now: float) -> Connection | None:
        """The one used last, if any can still be trusted: the oldest of many are not needed."""
        kept = self._kept[origin]
        while kept:
            connection = kept.pop()
            if connection.is_open and connection.kept_since > now - _KEEP_ALIVE_SECONDS:
                return connection
            connection.close()
        return None

    def _keep(self, origin: _Origin, connection: Connection) -> None:
        if self._tls is None:
            connection.close()
        if not connection.is_open:
            return
        kept = self._kept[origin]
        kept.append(connection)
        while kept[0].kept_since <= connection.kept_since - _KEEP_ALIVE_SECONDS:
            kept.pop(0).close()


@lru_cache(_HOT_HEADS)
def _head(url: str, headers: tuple[tuple[str, str], ...]) -> tuple[_Origin, bytes]:
    """Whom to ask, and all of a request's head but the length of its body."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a URL that can be posted to")
    is_tls = parts.scheme == "https"
    origin = _Origin(parts.hostname, parts.port or (443 if is_tls else 80), is_tls)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "User-Agent: postrider",
        "Accept: */*",
        "Accept-Encoding: identity",
        *(f"{name}: {value}" for name, value in headers),
        "Content-Length: ",
    ]
    if any(not line.isprintable() for line in lines):
        raise ValueError("a header with a line break, or the like")
    return origin, "\r\n".join(lines).encode()
