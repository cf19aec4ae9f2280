"""Access tokens for a Google service account, fetched once however many sends wait for one.

https://developers.google.com/identity/protocols/oauth2/service-account
"""

import asyncio
import re
from urllib.parse import urlencode

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from channels.transport import Reply, Transport
from policies.clock import Clock
from schemas.outcome import Misconfigured, NotProcessed

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS = 3600
_EARLY_SECONDS = 300.0
"""A token is renewed so long before its end, so that none expires on its way."""

_TOKEN = re.compile("[!-~]+")
"""Anything else would be no header, and a message that could not be sent would end in doubt."""

NoToken = NotProcessed | Misconfigured
"""Why there is none: the message itself has not left in either case."""


class ServiceAccount(msgspec.Struct, frozen=True):
    """What matters of the JSON key file that Google's console hands out."""

    project_id: str
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"


class AccessTokens:
    """The account's current token for one scope.

    Raises:
        ValueError: from the constructor, when the account's private key is none.
    """

    def __init__(
        self,
        account: ServiceAccount,
        scope: str,
        *,
        transport: Transport,
        clock: Clock,
        timeout_seconds: float,
    ) -> None:
        self._account = account
        self._key = _private_key(account)
        self._scope = scope
        self._transport = transport
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._token = ""
        self._renew_at = 0.0
        self._fetching: asyncio.Task[str | NoToken] | None = None

    async def get(self) -> str | NoToken:
        """A token that is good for some minutes, or why there is none."""
        if self._token and self._clock.elapsed_seconds() < self._renew_at:
            return self._token
        if self._fetching is None or self._fetching.done():
            # A task of its own: a caller that is cancelled must not take it from the others.
            self._fetching = asyncio.create_task(self._fetch())
        return await asyncio.shield(self._fetching)

    def refuse(self, token: str) -> None:
        """The provider did not take this token; a newer one that is already here stays."""
        if token == self._token:
            self._token = ""

    async def close(self) -> None:
        """Ends a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _fetch(self) -> str | NoToken:
        form = urlencode({"grant_type": _GRANT, "assertion": self._assertion()}).encode()
        reply = await self._transport.post(
            self._account.token_uri,
            form,
            {"Content-Type": "application/x-www-form-urlencoded"},
            timeout_seconds=self._timeout_seconds,
        )
        if not isinstance(reply, Reply):
            return NotProcessed(consumes_attempt=True, reason="unreachable")
        if reply.status != 200:
            return self._refusal(reply)
        granted = reply.read(_decode)
        if granted is None or _TOKEN.fullmatch(granted.access_token) is None:
            return NotProcessed(consumes_attempt=True, reason="server_error")
        self._token = granted.access_token
        lifetime = max(granted.expires_in - _EARLY_SECONDS, granted.expires_in / 2)
        self._renew_at = self._clock.elapsed_seconds() + lifetime
        return self._token

    def _refusal(self, reply: Reply) -> NoToken:
        code = f"oauth_{reply.status}"
        if reply.status == 429 or reply.status >= 500:
            wait = reply.retry_after_seconds(self._clock.now_ms()) or 0.0
            return NotProcessed(
                retry_after_seconds=wait,
                consumes_attempt=reply.status != 429,
                reason="throttled" if reply.status == 429 else "server_error",
                provider_code=code,
            )
        return Misconfigured(provider_code=code)

    def _assertion(self) -> str:
        now_seconds = self._clock.now_ms() // 1000
        return jwt.encode(
            {
                "iss": self._account.client_email,
                "scope": self._scope,
                "aud": self._account.token_uri,
                "iat": now_seconds,
                "exp": now_seconds + _ASSERTION_SECONDS,
            },
            self._key,
            algorithm="RS256",
            headers={"kid": self._account.private_key_id} if self._account.private_key_id else None,
        )


def _private_key(account: ServiceAccount) -> RSAPrivateKey:
    """Read once: checking a key takes tens of milliseconds, during which nothing is sent."""
    try:
        key = load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPrivateKey):
        return key
    raise ValueError("service_account: private_key: expected an RSA key in PEM, not encrypted")


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float


_decode = msgspec.json.Decoder(_Granted).decode
