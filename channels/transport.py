"""HTTP to a provider: one pool of connections, a bound on every call, no exception to handle.

Whatever can go wrong on the way becomes an outcome here and nowhere else. What matters is
whether the request may have left: a call that never got a connection is safe to repeat,
anything later may have been carried out although nobody heard of it.
"""

import math
import ssl
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp

from channels.settings import ProviderSettings
from schemas.outcome import Misconfigured, NotProcessed, Outcome, Rejected, Unknown

MAX_RETRY_AFTER_SECONDS = 3600.0
"""A provider that asks for more is not believed: it is asked again after an hour."""

_CONNECT_SHARE = 0.3
"""Of the time of a call, for getting a connection: the rest must be enough for an answer."""

_KEEP_ALIVE_SECONDS = 15.0
"""Shorter than any provider's: a request sent into a connection that the provider is just
closing is lost without a trace, so its outcome would be unknown."""

_NEVER_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Reply(NamedTuple):
    """What the provider answered, complete; header names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def retry_after_seconds(self, now_ms: int) -> float | None:
        """What `Retry-After` asks for, as seconds or as a date; None when it says nothing usable."""
        value = self.headers.get("Retry-After", "")
        try:
            seconds = float(value)
        except ValueError:
            try:
                at = parsedate_to_datetime(value)
            except ValueError:
                return None
            seconds = at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now_ms / 1000
        return bounded_wait(seconds)

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
    """One provider's connections."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Opens the pool.

        Raises:
            OSError: the CA bundle cannot be read.
            ssl.SSLError: the CA bundle holds no certificate.
        """
        tls = ssl.create_default_context(cafile=self._settings.ca_bundle)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._settings.connections, keepalive_timeout=_KEEP_ALIVE_SECONDS, ssl=tls
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "postrider"},
        )

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float
    ) -> Reply | NotProcessed | Unknown:
        """The provider's answer, whatever its status, or what kept it from us.

        `start` must have been called. Redirects are answers: to follow one could send twice.
        """
        if self._session is None:
            raise RuntimeError("start the transport before the first request")
        timeout = aiohttp.ClientTimeout(
            total=timeout_seconds,
            connect=timeout_seconds * _CONNECT_SHARE,
            ceil_threshold=math.inf,  # else timers of 5 s and more are late by up to a second
        )
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return Reply(response.status, response.headers, await response.read())
        except aiohttp.InvalidURL:
            raise  # ours to mend, and nothing was sent
        except (aiohttp.ClientError, OSError) as error:
            return outcome_of(error)

    async def close(self) -> None:
        """Closes all connections; safe to call twice and without `start`."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def outcome_of(error: aiohttp.ClientError | OSError) -> NotProcessed | Unknown:
    """What is known about a request that ended in this error."""
    if isinstance(error, _NEVER_LEFT):
        return NotProcessed(consumes_attempt=True, reason="unreachable")
    if isinstance(error, TimeoutError):
        return Unknown(reason="timeout")
    return Unknown(reason="connection_lost")
