"""Twilio Programmable Messaging: https://www.twilio.com/docs/messaging/api/message-resource

One message a request, form-encoded, 201 when it is queued. There is no idempotency key, so an
answer that was lost leaves a message in doubt; our ids go into the query of the status
callback, which its signature covers.

Error codes, each explained at https://www.twilio.com/docs/api/errors/<code>; the code decides,
the HTTP status only where there is no known code:

| Class | Codes |
|---|---|
| account or sender not usable | see `_MISCONFIGURED`, `_NOT_ENABLED` |
| number invalid, or its owner said STOP | see `_ADDRESS_INVALID` |
| this message never | see `_REJECTED` |
| not processed, ask later | see `_LATER` |
| 500, 502-504, 20500 | may have been sent |
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

import msgspec

from channels.base import NOT_ENABLED, Outgoing, SmsContent
from channels.settings import ProviderSettings, secret
from channels.transport import Reply, Transport
from policies.clock import Clock
from schemas.delivery import Channel
from schemas.ids import to_text
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
)

_MISCONFIGURED = frozenset({
    20003,  # authentication
    20005, 30002,  # account suspended
    20404,  # no such account
    21212, 21603, 21606, 21659,  # From is not a number of ours
    21701, 21703, 21704,  # messaging service missing or empty
    30024, 30032, 30034,  # sender not registered or verified
})  # fmt: skip
_NOT_ENABLED = frozenset({
    21408,  # the recipient's country
    21608,  # trial account: numbers that are not verified
})  # fmt: skip
"""The account may send, but not to this recipient."""
_ADDRESS_INVALID = frozenset({
    21211, 21214, 21217,  # not a number
    21610,  # the recipient said STOP
    21614, 21635, 30006,  # not a mobile, landline
    30005,  # unknown destination
})  # fmt: skip
_REJECTED = frozenset({
    21602, 21617,  # body missing, too long
    21612,  # no route from this sender
    21620, 21623,  # media
    30004, 30007, 30038, 30450,  # blocked, filtered, pumping guard
    30010,  # price
    30036,  # validity expired
})  # fmt: skip
_LATER: Mapping[int, float] = {
    14107: 30.0,  # loop guard: the pair of numbers is blocked for 30 s
    20429: 0.0,  # too many concurrent requests: never processed
    21611: 60.0,  # ten hours of messages already wait for this From
    30001: 60.0,  # queue overflow
    30022: 1.0,  # 10DLC rate
    30023: 3600.0,  # daily cap of the brand, until midnight Pacific
    63017: 1.0,  # account rate
    63038: 3600.0,  # account cap over a rolling day
}
"""Codes of messages that were certainly not taken, with the shortest sensible wait in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSettings(ProviderSettings):
    base_url: str = "https://api.twilio.com"
    account_sid: str
    api_key_sid: str = ""
    """`SK...`, with its secret in `auth_token`; empty: the account's own token is used."""
    auth_token: str = secret()
    status_callback: str = ""
    """Where Twilio reports to; without it nothing is known after the acceptance."""


class Twilio:
    """Hands SMS to Twilio, each from the number that its delivery names."""

    provider: ClassVar[str] = "twilio"
    channel: ClassVar[Channel] = "sms"
    max_batch: ClassVar[int] = 1
    max_body_characters: ClassVar[int] = 1600
    max_validity_seconds: ClassVar[int] = 36_000

    def __init__(self, settings: TwilioSettings, *, clock: Clock) -> None:
        self._clock = clock
        self._transport = Transport(settings)
        self._url = (
            f"{settings.base_url.rstrip('/')}/2010-04-01/Accounts/"
            f"{settings.account_sid}/Messages.json"
        )
        user = settings.api_key_sid or settings.account_sid
        basic = base64.b64encode(f"{user}:{settings.auth_token}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {basic}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._status_callback = settings.status_callback
        self.timeout_seconds = settings.timeout_seconds

    async def start(self) -> None:
        await self._transport.start()

    async def close(self) -> None:
        await self._transport.close()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        (message,) = batch
        if not isinstance(message.content, SmsContent):
            raise TypeError(f"an SMS sender was handed {type(message.content).__name__}")
        if len(message.content.text) > self.max_body_characters:
            return [Rejected(reason="content_too_large")]
        answer = await self._transport.post(
            self._url,
            urlencode(self._form(message, message.content.text)).encode(),
            self._headers,
            timeout_seconds=self.timeout_seconds,
        )
        return [self._classify(answer) if isinstance(answer, Reply) else answer]

    def _form(self, message: Outgoing, text: str) -> dict[str, str]:
        left_seconds = (message.expires_ms - self._clock.now_ms()) // 1000
        form = {
            "To": message.address,
            "From": message.sender,
            "Body": text,
            "ValidityPeriod": str(min(max(left_seconds, 1), self.max_validity_seconds)),
        }
        if self._status_callback:
            ours = {
                "delivery_id": to_text(message.delivery_id),
                "notification_id": to_text(message.notification_id),
                "user_id": message.user_id,
                "round": str(message.round),
                "attempt": str(message.attempt),
            }
            joint = "&" if "?" in self._status_callback else "?"
            form["StatusCallback"] = f"{self._status_callback}{joint}{urlencode(ours)}"
        return form

    def _classify(self, reply: Reply) -> Outcome:
        answer = reply.read(_decode) or _Answer()
        if 200 <= reply.status < 300:
            return Accepted(provider_message_id=answer.sid)
        wait = reply.retry_after_seconds(self._clock.now_ms()) or 0.0
        if answer.code is None:
            return reply.outcome(wait_seconds=wait)
        return _by_code(answer.code, wait) or reply.outcome(
            code=str(answer.code), wait_seconds=wait
        )


class _Answer(msgspec.Struct):
    """Of an accepted message the `sid`, of a refused one the `code`."""

    sid: str = ""
    code: int | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def _by_code(code: int, wait_seconds: float) -> Outcome | None:
    text = str(code)
    if code in _MISCONFIGURED:
        return Misconfigured(provider_code=text)
    if code in _NOT_ENABLED:
        return Misconfigured(reason=NOT_ENABLED, provider_code=text)
    if code in _ADDRESS_INVALID:
        return AddressInvalid(provider_code=text)
    if code in _REJECTED:
        return Rejected(provider_code=text)
    if code in _LATER:
        return NotProcessed(retry_after_seconds=max(wait_seconds, _LATER[code]), provider_code=text)
    return None
