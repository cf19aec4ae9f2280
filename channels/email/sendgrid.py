"""SendGrid v3 `mail/send`: https://www.twilio.com/docs/sendgrid/api-reference/mail-send

One request carries up to a thousand recipients of one content, each a personalization with
our ids in `custom_args`, which come back at the top level of every event. The vendor refuses
the whole request for one bad address, and when an address occurs twice in it.

| Answer | Means |
|---|---|
| 202 (200 in its sandbox mode) | accepted; `X-Message-Id` begins the `sg_message_id` of events |
| 400 naming a personalization | that one is bad, nothing was sent: the others go again |
| 400 naming `from` | our sender address is not one |
| 400 naming another field | the mail itself is bad, for everybody |
| 400 naming nothing | halves go again, each by a call of its own, until the culprits are alone |
| 401, 403 | key, or sender identity not verified |
| 404, 405 | not SendGrid's address |
| 413 and other 4xx | permanent |
| 429 | not processed; `Retry-After`, else `X-RateLimit-Reset` in epoch seconds |
| 5xx | may have been sent: neither an idempotency key nor a documented meaning |

https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from channels.base import Content, EmailContent, Outgoing
from channels.settings import ProviderSettings, secret
from channels.transport import Reply, Transport, bounded_wait
from policies.clock import Clock
from schemas.delivery import Channel
from schemas.id_forms import IdForm
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
)

_CULPRIT = re.compile(r"personalizations\.([0-9]{1,4})\.(to\b)?")
"""No more digits than a request has recipients: Python reads no number of thousands of them."""

_SPOILT = NotProcessed(reason="spoilt", provider_code="400")
"""Refused together with another one."""
_SPOILT_APART = NotProcessed(reason="spoilt", provider_code="400", retry_after_seconds=0.001)
"""Likewise, and to go again by another call than those before: what is due at another instant does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendGridSettings(ProviderSettings):
    base_url: str = "https://api.sendgrid.com"
    api_key: str = secret()
    from_email: str
    """A verified sender identity."""
    from_name: str = ""


class SendGrid:
    """Hands mails to SendGrid. It has no expiry: it tries on its own for up to three days."""

    provider: ClassVar[str] = "sendgrid"
    channel: ClassVar[Channel] = "email"
    max_batch: ClassVar[int] = 1000
    max_request_bytes: ClassVar[int] = 20 * 1024 * 1024
    """The smaller of the two limits that the vendor has documented."""

    def __init__(self, settings: SendGridSettings, *, clock: Clock) -> None:
        self._clock = clock
        self._transport = Transport(settings)
        self._url = settings.base_url.rstrip("/") + "/v3/mail/send"
        self._headers = {
            "Authorization": f"Bearer {settings.api_key}",
            "Content-Type": "application/json",
        }
        self._from = _Mailbox(settings.from_email, settings.from_name)
        self.timeout_seconds = settings.timeout_seconds

    async def start(self) -> None:
        await self._transport.start()

    async def close(self) -> None:
        await self._transport.close()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """One request: of whoever is refused with another one the next call asks again."""
        assert len({id(message.content) for message in batch}) == 1, "one request has one content"
        body = self._body(batch)
        if len(body) > self.max_request_bytes:
            return [Rejected(reason="content_too_large")] * len(batch)
        answer = await self._transport.post(
            self._url, body, self._headers, timeout_seconds=self.timeout_seconds
        )
        if isinstance(answer, Reply) and answer.status == 400:
            return _blame(answer, len(batch))
        outcome = self._classify(answer) if isinstance(answer, Reply) else answer
        return [outcome] * len(batch)

    def _body(self, messages: Sequence[Outgoing]) -> bytes:
        first = messages[0]
        content = _email(first.content)
        parts = [_Part("text/plain", content.text)]
        if content.html:
            parts.append(_Part("text/html", content.html))
        return _encode(
            _Mail(
                from_=self._from,
                subject=content.subject,
                content=parts,
                custom_args=_SharedArguments(str(first.round), str(first.attempt)),
                personalizations=_personalizations(messages),
            )
        )

    def _classify(self, reply: Reply) -> Outcome:
        if 200 <= reply.status < 300:
            return Accepted(provider_message_id=reply.headers.get("x-message-id", ""))
        return reply.outcome(wait_seconds=self._wait_seconds(reply))

    def _wait_seconds(self, reply: Reply) -> float:
        now_ms = self._clock.now_ms()
        wait = reply.retry_after_seconds(now_ms)
        if wait is None:
            try:
                reset = float(reply.headers.get("x-ratelimit-reset", "nan"))
            except ValueError:
                return 0.0
            wait = bounded_wait(reset - now_ms / 1000)
        return wait or 0.0


class _Mailbox(msgspec.Struct, omit_defaults=True):
    email: str
    name: str = ""


class _Part(msgspec.Struct):
    type: str
    value: str


class _SharedArguments(msgspec.Struct):
    round: str
    attempt: str


class _Mail(msgspec.Struct, rename={"from_": "from"}):
    from_: _Mailbox
    subject: str
    content: list[_Part]
    custom_args: _SharedArguments
    personalizations: msgspec.Raw


class _Error(msgspec.Struct):
    field: str | None = None


class _Errors(msgspec.Struct):
    errors: list[_Error] = []


_encode = msgspec.json.Encoder().encode
_decode_errors = msgspec.json.Decoder(_Errors).decode
_MARKS = IdForm(b'}],"custom_args":{"delivery_id":"\0","notification_id":"\0","user_id":')


def _personalizations(messages: Sequence[Outgoing]) -> msgspec.Raw:
    """Filled in as text, since a broadcast makes a million."""
    marks = _MARKS.filled(
        [message.delivery_id for message in messages],
        [message.notification_id for message in messages],
    )
    filled = [
        b'{"to":[{"email":' + _encode(message.address) + mark + _encode(message.user_id) + b"}}"
        for message, mark in zip(messages, marks, strict=True)
    ]
    return msgspec.Raw(b"[%b]" % b",".join(filled))


def _email(content: Content) -> EmailContent:
    if not isinstance(content, EmailContent):
        raise TypeError(f"an e-mail sender was handed {type(content).__name__}")
    return content


def _blame(reply: Reply, count: int) -> Sequence[Outcome]:
    """Of a refused request: whose fault it was, and who is to go again with whom."""
    fields = _fields(reply)
    culprits = [_CULPRIT.match(field) for field in fields]
    blamed: dict[int, Outcome] = {
        int(culprit[1]): AddressInvalid(provider_code="400")
        if culprit[2]
        else Rejected(provider_code="400")
        for culprit in culprits
        if culprit is not None and int(culprit[1]) < count
    }
    if blamed:
        return [blamed.get(index, _SPOILT) for index in range(count)]
    if any(field.startswith("from") for field in fields):
        return [Misconfigured(reason="bad_sender", provider_code="400")] * count
    is_mail_bad = any(not field.startswith("personalizations") for field in fields)
    if is_mail_bad or count == 1:
        return [Rejected(provider_code="400")] * count
    return [_SPOILT] * (count // 2) + [_SPOILT_APART] * (count - count // 2)


def _fields(reply: Reply) -> list[str]:
    """The paths that the vendor blames; none where it does not say."""
    refused = reply.read(_decode_errors) or _Errors()
    return [error.field for error in refused.errors if error.field]
