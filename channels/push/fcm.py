"""FCM HTTP v1: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send

One message a request, for Android, Apple and the web. There is no idempotency key and no
delivery receipt: the tag makes a message that is sent twice replace itself on the screen.

The `errorCode` of an `FcmError` detail decides, then the HTTP status
(https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode):

| HTTP | errorCode | Means |
|---|---|---|
| 400 | INVALID_ARGUMENT, about the token | the token is none |
| 400 | INVALID_ARGUMENT, about anything else | this message never |
| 401 | THIRD_PARTY_AUTH_ERROR, APNS_AUTH_ERROR | Apple's or the web's key at Firebase is bad |
| 401 | | our access token is bad: fetched anew once |
| 403 | SENDER_ID_MISMATCH | the token belongs to another project |
| 403 | | the account may not send |
| 404 | UNREGISTERED | the app was removed from the device |
| 404 | | no such project |
| 429 | QUOTA_EXCEEDED | not processed; a minute where `Retry-After` is missing |
| 500, 503 | INTERNAL, UNAVAILABLE | may have been sent |
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from channels.base import NOT_ENABLED, Outgoing, PushContent
from channels.push.oauth import AccessTokens, ServiceAccount
from channels.settings import ProviderSettings, secret
from channels.transport import Reply, Transport
from policies.clock import Clock
from policies.rules import RateLimit
from schemas.delivery import Channel
from schemas.ids import to_text
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
    Unknown,
)

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_TOKEN_FIELD = "message.token"
_BELOW_QUOTA = RateLimit(9_000, 1.0)
"""A project may send 600,000 messages a minute; refused ones count too, hence the margin."""
_QUOTA_WAIT_SECONDS = 60.0
_TOKEN_SHARE = 0.4
"""Of the time of a call, for fetching an access token; the message needs the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FcmSettings(ProviderSettings):
    base_url: str = "https://fcm.googleapis.com"
    rate: RateLimit | None = _BELOW_QUOTA
    service_account: str = secret()
    """The JSON key file of a service account, its text."""
    token_uri: str = ""
    """Where access tokens come from; empty: where the key file says."""


class Fcm:
    """Hands push messages to FCM.

    Raises:
        ValueError: from the constructor, when the service account is not one.
    """

    provider: ClassVar[str] = "fcm"
    channel: ClassVar[Channel] = "push"
    max_batch: ClassVar[int] = 1
    max_payload_bytes: ClassVar[int] = 4096
    max_ttl_seconds: ClassVar[int] = 2_419_200
    max_collapse_id_bytes: ClassVar[int] = 64
    """Apple's bound; a longer key is replaced by its digest."""

    def __init__(self, settings: FcmSettings, *, clock: Clock) -> None:
        account = _service_account(settings)
        self._clock = clock
        self._transport = Transport(settings)
        self._tokens = AccessTokens(
            account,
            _SCOPE,
            transport=self._transport,
            clock=clock,
            timeout_seconds=settings.timeout_seconds * _TOKEN_SHARE,
        )
        self._url = (
            f"{settings.base_url.rstrip('/')}/v1/projects/{account.project_id}/messages:send"
        )
        self.timeout_seconds = settings.timeout_seconds

    async def start(self) -> None:
        await self._transport.start()

    async def close(self) -> None:
        await self._tokens.close()
        await self._transport.close()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        (message,) = batch
        if not isinstance(message.content, PushContent):
            raise TypeError(f"a push sender was handed {type(message.content).__name__}")
        if _payload_bytes(message.content) > self.max_payload_bytes:
            return [Rejected(reason="content_too_large")]
        deadline = self._clock.elapsed_seconds() + self.timeout_seconds
        body = self._body(message, message.content)
        answer = await self._post(body, deadline)
        if isinstance(answer, Reply) and answer.status == 401 and not _error_code(answer):
            answer = await self._post(body, deadline)
        return [self._classify(answer) if isinstance(answer, Reply) else answer]

    async def _post(self, body: bytes, deadline: float) -> Reply | Outcome:
        token = await self._tokens.get()
        if not isinstance(token, str):
            return token
        seconds = deadline - self._clock.elapsed_seconds()
        if seconds <= 0:
            return NotProcessed(consumes_attempt=True, reason="unreachable")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = await self._transport.post(self._url, body, headers, timeout_seconds=seconds)
        if isinstance(answer, Reply) and answer.status == 401 and not _error_code(answer):
            self._tokens.refuse(token)
        return answer

    def _body(self, message: Outgoing, content: PushContent) -> bytes:
        left_seconds = (message.expires_ms - self._clock.now_ms()) // 1000
        notification_id = to_text(message.notification_id)
        tag = message.collapse_key or notification_id
        if len(tag.encode()) > self.max_collapse_id_bytes:
            tag = hashlib.sha256(tag.encode()).hexdigest()
        data = {
            **content.data,
            "delivery_id": to_text(message.delivery_id),
            "notification_id": notification_id,
            "round": str(message.round),
            "attempt": str(message.attempt),
        }
        return _encode(
            _Request(
                _Message(
                    token=message.address,
                    notification=_Notification(content.title, content.body, content.image),
                    data=data,
                    android=_Android(
                        ttl=f"{min(max(left_seconds, 0), self.max_ttl_seconds)}s",
                        collapse_key=message.collapse_key,
                        notification=_AndroidNotification(tag),
                    ),
                    apns=_Apns(_ApnsHeaders(str(message.expires_ms // 1000), tag)),
                )
            )
        )

    def _classify(self, reply: Reply) -> Outcome:
        if 200 <= reply.status < 300:
            accepted = reply.read(_decode_accepted) or _Accepted()
            return Accepted(provider_message_id=accepted.name)
        wait = reply.retry_after_seconds(self._clock.now_ms())
        code = _error_code(reply)
        match code:
            case "UNREGISTERED" | "SENDER_ID_MISMATCH":
                return AddressInvalid(provider_code=code)
            case "INVALID_ARGUMENT" if _is_about_token(reply):
                return AddressInvalid(provider_code=code)
            case "INVALID_ARGUMENT":
                return Rejected(provider_code=code)
            case "THIRD_PARTY_AUTH_ERROR" | "APNS_AUTH_ERROR":
                return Misconfigured(reason=NOT_ENABLED, provider_code=code)
            case "INTERNAL" | "UNAVAILABLE":
                return Unknown(reason="server_error", provider_code=code)
        return reply.outcome(code=code, wait_seconds=_QUOTA_WAIT_SECONDS if wait is None else wait)


class _Notification(msgspec.Struct, omit_defaults=True):
    title: str
    body: str
    image: str = ""


class _AndroidNotification(msgspec.Struct):
    tag: str


class _Android(msgspec.Struct, rename="camel", omit_defaults=True):
    ttl: str
    notification: _AndroidNotification
    collapse_key: str = ""


class _ApnsHeaders(
    msgspec.Struct, rename={"expiration": "apns-expiration", "collapse_id": "apns-collapse-id"}
):
    expiration: str
    collapse_id: str


class _Apns(msgspec.Struct):
    headers: _ApnsHeaders


class _Message(msgspec.Struct):
    token: str
    notification: _Notification
    data: dict[str, str]
    android: _Android
    apns: _Apns


class _Request(msgspec.Struct):
    message: _Message


class _Accepted(msgspec.Struct):
    name: str = ""


class _Violation(msgspec.Struct):
    field: str = ""


class _Detail(
    msgspec.Struct,
    rename={"type": "@type", "error_code": "errorCode", "violations": "fieldViolations"},
):
    type: str = ""
    error_code: str = ""
    violations: list[_Violation] = []


class _Status(msgspec.Struct):
    message: str = ""
    details: list[_Detail] = []


class _Refused(msgspec.Struct):
    error: _Status


_encode = msgspec.json.Encoder().encode
_decode_accepted = msgspec.json.Decoder(_Accepted).decode
_decode_refused = msgspec.json.Decoder(_Refused).decode
_decode_account = msgspec.json.Decoder(ServiceAccount).decode


def _service_account(settings: FcmSettings) -> ServiceAccount:
    try:
        account = _decode_account(settings.service_account)
    except msgspec.MsgspecError as error:
        raise ValueError(f"service_account: not a service account's JSON key: {error}") from None
    if settings.token_uri:
        account = msgspec.structs.replace(account, token_uri=settings.token_uri)
    return account


def _payload_bytes(content: PushContent) -> int:
    texts = [content.title, content.body, content.image, *content.data, *content.data.values()]
    return sum(len(text.encode()) for text in texts)


def _refusal(reply: Reply) -> _Status:
    refused = reply.read(_decode_refused)
    return _Status() if refused is None else refused.error


def _error_code(reply: Reply) -> str:
    """The vendor's own code; empty where the answer is one of Google's front ends."""
    details = _refusal(reply).details
    return next((detail.error_code for detail in details if detail.type == _FCM_ERROR), "")


def _is_about_token(reply: Reply) -> bool:
    status = _refusal(reply)
    return "registration token" in status.message or any(
        violation.field == _TOKEN_FIELD
        for detail in status.details
        for violation in detail.violations
    )
