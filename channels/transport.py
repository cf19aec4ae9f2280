"""HTTP to a provider: one pool of connections, a bound on every call, no exception to handle.

Whatever can go wrong on the way becomes an outcome here and nowhere else. What matters is
whether the request may have left: a call that never got a connection is safe to repeat,
anything later may have been carried out although nobody heard of it.
"""

import asyncio
import errno
import io
import math
import os
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeVar

import msgspec
import pycurl

from channels.settings import ProviderSettings
from schemas.outcome import Misconfigured, NotProcessed, Outcome, Rejected, Unknown

T = TypeVar("T")

MAX_RETRY_AFTER_SECONDS = 3600.0
"""A provider that asks for more is not believed: it is asked again after an hour."""

_CONNECT_SHARE = 0.3
"""Of the time of a call, for getting a connection: the rest must be enough for an answer."""

_KEEP_ALIVE_SECONDS = 15
"""Shorter than any provider's: a request sent into a connection that the provider is just
closing is lost without a trace, so its outcome would be unknown."""

_DISTRUST_SECONDS = 1.0
"""Where one connection was lost, the provider may have closed others: libcurl looks once a second."""

_OURS_TO_MEND = (pycurl.E_URL_MALFORMAT, pycurl.E_UNSUPPORTED_PROTOCOL)
"""Of an address, which no later attempt makes a better one."""


class Reply(NamedTuple):
    """What the provider answered, complete; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def retry_after_seconds(self, now_ms: int) -> float | None:
        """What `Retry-After` asks for, as seconds or as a date; None when it says nothing usable."""
        value = self.headers.get("retry-after", "")
        try:
            seconds = float(value)
        except ValueError:
            try:
                at = parsedate_to_datetime(value)
            except (ValueError, OverflowError):
                return None
            seconds = at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now_ms / 1000
        return bounded_wait(seconds)

    def read(self, decode: Callable[[str], T]) -> T | None:
        """What the body says; None where it says nothing of the kind.

        Whatever bytes a provider sends, it has answered: to fail at them would leave in doubt what
        was plainly accepted or refused. So a text that is no UTF-8 is read with holes in it.
        """
        try:
            return decode(self.body.decode(errors="replace"))
        except (msgspec.MsgspecError, RecursionError):
            return None

    def outcome(self, *, code: str = "", wait_seconds: float = 0.0) -> Outcome:
        """What a status that is no success means where the provider says nothing more precise."""
        code = code or str(self.status)
        match self.status:
            case 401 | 403:
                return Misconfigured(provider_code=code)
            case 404 | 405:
                return Misconfigured(reason="bad_endpoint", provider_code=code)
            case 429:
                return NotProcessed(retry_after_seconds=wait_seconds, provider_code=code)
            case status if 300 <= status < 400:
                return Misconfigured(reason="bad_endpoint", provider_code=code)
            case status if 400 <= status < 500:
                return Rejected(provider_code=code)
            case _:
                return Unknown(reason="server_error", provider_code=code)


def bounded_wait(seconds: float) -> float | None:
    """A wait that a provider asks for, or None where the number makes no sense."""
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


class Transport:
    """One provider's connections, by libcurl."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._connections: pycurl.AsyncCurlMulti | None = None
        self._idle: list[pycurl.Curl] = []
        self._distrusted_until = 0.0
        """By the loop's time: until then no request is sent into a connection that was kept."""

    async def start(self) -> None:
        """Opens the pool.

        Raises:
            OSError: the CA bundle cannot be read.
            ssl.SSLError: the CA bundle holds no certificate.
        """
        # libcurl would say at each call what is wrong with the bundle; this raises it at once.
        ssl.create_default_context(cafile=self._settings.ca_bundle)
        self._connections = pycurl.AsyncCurlMulti()
        self._connections.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, self._settings.connections)
        self._connections.setopt(pycurl.M_MAXCONNECTS, self._settings.connections)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float
    ) -> Reply | NotProcessed | Unknown:
        """The provider's answer, whatever its status, or what kept it from us.

        `start` must have been called. Redirects are answers: to follow one could send twice.

        Raises:
            ValueError: nothing was sent: the URL is none, the body is empty, or a header has more
                than one line.
            OSError: libcurl has no memory; whether anything was sent, nobody knows.
        """
        if self._connections is None:
            raise RuntimeError("start the transport before the first request")
        if not body:
            raise ValueError("a request without a body could be sent twice, unnoticed")
        now = asyncio.get_running_loop().time
        outgoing, answered, content = io.BytesIO(body), list[bytes](), list[bytes]()
        try:
            curl = self._idle.pop() if self._idle else self._new_handle()
            curl.setopt(pycurl.URL, url)
            curl.setopt(pycurl.HTTPHEADER, _lines(headers))
            curl.setopt(pycurl.POSTFIELDSIZE_LARGE, len(body))
            # It can be read once, and not again from its start: libcurl, which on its own would
            # repeat a request that a kept connection has lost, whatever became of it, has to give
            # up instead.
            curl.setopt(pycurl.READFUNCTION, outgoing.read)
            curl.setopt(pycurl.HEADERFUNCTION, answered.append)
            curl.setopt(pycurl.WRITEFUNCTION, content.append)
            curl.setopt(pycurl.FRESH_CONNECT, now() < self._distrusted_until)
            curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(timeout_seconds))
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(timeout_seconds * _CONNECT_SHARE))
            await self._connections.perform(curl)
        except pycurl.error as error:
            if _is_out_of_memory(error):
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from error
            has_left = outgoing.tell() > 0
            code, said = error.args
            if code in _OURS_TO_MEND and not has_left:
                raise ValueError(f"{url}: {said}") from error
            if has_left and code != pycurl.E_OPERATION_TIMEDOUT:
                self._distrusted_until = now() + _DISTRUST_SECONDS
            return _outcome_of(code, has_left=has_left)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        outgoing.close()  # or its handle would hold it until the next request
        self._idle.append(curl)
        final = _final_headers(answered)
        if final is None:
            return Unknown(reason="connection_lost")
        return Reply(status, final, b"".join(content))

    async def close(self) -> None:
        """Closes all connections and cancels calls that are open; safe to call twice and without
        `start`. Waits for a lookup of a name that is under way, without giving way to others."""
        if self._connections is not None:
            await self._connections.aclose()
            self._connections = None
        self._idle.clear()

    def _new_handle(self) -> pycurl.Curl:
        """With what all requests have in common."""
        curl = pycurl.Curl()
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.USERAGENT, "postrider")
        curl.setopt(pycurl.ACCEPT_ENCODING, "gzip")
        # With HTTP/2 the requests of a connection share its fate, and how it ends says for each
        # whether it was carried out: that takes senders that are made for it.
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.MAXAGE_CONN, _KEEP_ALIVE_SECONDS)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")  # only what `faust.yaml` says, nothing of the environment
        machine = ssl.get_default_verify_paths()
        if bundle := self._settings.ca_bundle or machine.cafile:
            curl.setopt(pycurl.CAINFO, str(bundle))
            curl.unsetopt(pycurl.CAPATH)
        elif machine.capath:
            curl.unsetopt(pycurl.CAINFO)
            curl.setopt(pycurl.CAPATH, machine.capath)
        return curl


def _lines(headers: Mapping[str, str]) -> list[bytes]:
    """As they are sent; raises ValueError for a value that would be another header, too."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if not all(map(str.isprintable, lines)):
        raise ValueError(f"a header is more than one line, or has control characters: {[*headers]}")
    # Nobody waits for a "100 Continue": it would cost a round trip, or a second where none comes.
    return [line.encode() for line in (*lines, "Expect:")]


def _final_headers(lines: Iterable[bytes]) -> dict[str, str] | None:
    """Those of the answer itself, before which others may have come that were no answer yet. None
    where the connection ended inside them, of which libcurl thinks nothing."""
    headers: dict[str, str] = {}
    is_complete = False
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if line.startswith(b"HTTP/"):
            headers, is_complete = {}, False
        elif colon:
            headers[name.lower()] = value.strip()
        else:
            is_complete = is_complete or not line.strip()
    return headers if is_complete else None


def _milliseconds(seconds: float) -> int:
    """At least one: none would be no bound at all."""
    return max(round(seconds * 1000), 1)


def _is_out_of_memory(error: pycurl.error) -> bool:
    """Where no handle can be had, pycurl says so in words alone."""
    return error.args[0] == pycurl.E_OUT_OF_MEMORY or not isinstance(error.args[0], int)


def _may_connect() -> bool:
    """Whether it was not this process that could open no more connections: that costs a message no
    attempt, and is no fault of its provider. libcurl says the same of both."""
    try:
        socket.socket().close()
    except OSError:
        return False
    return True


def _outcome_of(code: int, *, has_left: bool) -> NotProcessed | Unknown:
    """What is known about a request that ended in this error. Without its body it cannot have been
    carried out."""
    if not has_left:
        return NotProcessed(consumes_attempt=_may_connect(), reason="unreachable")
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return Unknown(reason="timeout")
    return Unknown(reason="connection_lost")
