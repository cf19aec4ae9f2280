"""Google's OAuth 2.0 token endpoint for service accounts, as the FCM sender needs it.

https://developers.google.com/identity/protocols/oauth2/service-account
"""

import secrets
import urllib.parse
from dataclasses import dataclass, field

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.http import Reply, Request
from sandbox.providers.base import Accepted, retry_after

MAX_ASSERTION_SECONDS = 3600
CLOCK_SKEW_SECONDS = 60
SCOPES = frozenset(
    {
        "https://www.googleapis.com/auth/firebase.messaging",
        "https://www.googleapis.com/auth/cloud-platform",
    }
)
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_PUBLIC_AUDIENCE = "https://oauth2.googleapis.com/token"
_STATUSES = {"400": 400, "401": 401, "429": 429, "500": 500, "503": 503}


@dataclass
class GoogleOAuth:
    """Issues access tokens for assertions that the account's key has signed."""

    client_email: str
    key_id: str
    public_key: RSAPublicKey
    token_lifetime_seconds: float = 3599
    name: str = "google-oauth"
    token_uri: str = _PUBLIC_AUDIENCE
    _tokens: dict[str, float] = field(default_factory=dict)

    def serves(self, path: str) -> bool:
        return path == "/token"

    def judge(self, request: Request, now: float) -> Accepted | Reply:
        if request.method != "POST":
            return Reply(405)
        fields = dict(urllib.parse.parse_qsl(request.body.decode("latin-1")))
        if fields.get("grant_type") != _GRANT:
            return _error("unsupported_grant_type", "Invalid grant_type")
        if (problem := self._problem(fields.get("assertion", ""), now)) is not None:
            return _error("invalid_grant", problem)
        self._tokens = {token: end for token, end in self._tokens.items() if end > now}
        token = "ya29.c." + secrets.token_urlsafe(48)
        self._tokens[token] = now + self.token_lifetime_seconds
        body = {
            "access_token": token,
            "expires_in": int(self.token_lifetime_seconds),
            "token_type": "Bearer",
        }
        return Accepted(Reply(200, msgspec.json.encode(body)))

    def error(self, code: str, retry_after_seconds: float | None) -> Reply | None:
        if code not in _STATUSES:
            return None
        reply = _error("temporarily_unavailable", "scripted fault", _STATUSES[code])
        return Reply(reply.status, reply.body, retry_after(retry_after_seconds))

    def is_valid(self, token: str, now: float) -> bool:
        return self._tokens.get(token, 0.0) > now

    def revoke_all(self) -> None:
        """Every token issued so far is refused from now on, as after a change of the key."""
        self._tokens.clear()

    def _problem(self, assertion: str, now: float) -> str | None:
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(
                assertion,
                self.public_key,
                algorithms=["RS256"],
                audience=[self.token_uri, _PUBLIC_AUDIENCE],
                # the library would read the machine's clock
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidAudienceError:
            return "Invalid JWT: Failed audience check. The right audience is the token_uri."
        except jwt.InvalidTokenError:
            return "Invalid JWT Signature."
        if header.get("kid", self.key_id) != self.key_id:
            return "Invalid JWT Signature."
        if claims.get("iss") != self.client_email:
            return "Invalid grant: account not found"
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            return "Invalid OAuth scope or ID token audience provided."
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(expires, int):
            return "Invalid JWT: Token must have iat and exp."
        is_timely = issued - CLOCK_SKEW_SECONDS <= now < expires + CLOCK_SKEW_SECONDS
        if not is_timely or expires - issued > MAX_ASSERTION_SECONDS:
            return "Invalid JWT: Token must be a short-lived token (60 minutes)."
        return None


def _error(error: str, description: str, status: int = 400) -> Reply:
    body = {"error": error, "error_description": description}
    return Reply(status, msgspec.json.encode(body))
