"""The work, as every peer in Python does it: who gets the broadcast, and what the provider is asked.

Needs only msgspec, which is faster than what most would take: peers have an environment of their own.
"""

import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

TYPE = "promotion"
_TEXTS = {"de": "Zum Angebot", "en": "See the offer"}
_OFFER, _LINK = "20 percent off everything", "https://example.com/sale"


class Recipient(msgspec.Struct, gc=False):
    """A row of the peer's own store, JSON under the user's id."""

    user_id: str
    email: str
    locale: str
    timezone: str
    is_email_wanted: bool
    types: dict[str, bool]
    quiet_from: int
    """Minute of the recipient's day."""
    quiet_until: int
    daily_limit: int


class Receipt(msgspec.Struct, gc=False):
    broadcast: str
    user_id: str
    status: str
    reason: str
    at_ms: int


class Local(NamedTuple):
    day: int
    minute: int


decode_recipient = msgspec.json.Decoder(Recipient).decode
encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=4096)
def _local(timezone: str, utc_minute: int) -> Local:
    """Worked out once a minute for each zone: by far most of what quiet hours cost otherwise."""
    there = datetime.fromtimestamp(utc_minute * 60, UTC).astimezone(ZoneInfo(timezone))
    return Local(there.toordinal(), there.hour * 60 + there.minute)


def local_now(timezone: str) -> Local:
    return _local(timezone, int(time.time() // 60))


def refusal(recipient: Recipient, now: Local, sent_today: int) -> str:
    """Why it is not sent; empty when it is."""
    if not recipient.is_email_wanted or not recipient.types.get(TYPE, True):
        return "opted_out"
    begins, ends = recipient.quiet_from, recipient.quiet_until
    is_inside = begins <= now.minute < ends
    if begins > ends:  # over midnight
        is_inside = now.minute >= begins or now.minute < ends
    if is_inside:
        return "quiet_hours"
    return "daily_limit" if sent_today >= recipient.daily_limit else ""


def receipt(broadcast: str, user_id: str, reason: str) -> bytes:
    status = "suppressed" if reason else "sent"
    return encode(Receipt(broadcast, user_id, status, reason, int(time.time() * 1000)))


def by_language(recipients: Iterable[Recipient]) -> dict[str, list[Recipient]]:
    """A request has one content, so whoever reads another language needs another request."""
    groups: dict[str, list[Recipient]] = {}
    for each in recipients:
        groups.setdefault("de" if each.locale == "de" else "en", []).append(each)
    return groups


class _Address(msgspec.Struct, gc=False):
    email: str


class _Arguments(msgspec.Struct, gc=False):
    delivery_id: str
    notification_id: str


class _Personalization(msgspec.Struct, gc=False):
    to: tuple[_Address]
    custom_args: _Arguments


class _Content(msgspec.Struct):
    type: str
    value: str


class _Mail(msgspec.Struct, rename={"from_": "from"}):
    from_: _Address
    subject: str
    content: list[_Content]
    personalizations: list[_Personalization]


def mail(broadcast: str, language: str, recipients: Iterable[Recipient]) -> bytes:
    """The body of one request to SendGrid, for up to a thousand."""
    text = f"{_OFFER}\n\n{_LINK}"
    html = f'<p>{_OFFER}</p><p><a href="{_LINK}">{_TEXTS[language]}</a></p>'
    return encode(
        _Mail(
            _Address("hello@example.com"),
            "Sale",
            [_Content("text/plain", text), _Content("text/html", html)],
            [
                _Personalization(
                    (_Address(each.email),),
                    _Arguments(f"{broadcast}:{each.user_id}", broadcast),
                )
                for each in recipients
            ],
        )
    )


class Settings(msgspec.Struct):
    """What the harness tells a worker, through its environment."""

    folder: Path
    provider: str
    api_key: str
    broker: str

    @property
    def url(self) -> str:
        return f"{self.provider}/v3/mail/send"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}

    def is_ready(self) -> None:
        """Say that the worker takes work."""
        (self.folder / READY).touch()


READY = "ready"


def settings() -> Settings:
    named = {each: os.environ[f"PEER_{each.upper()}"] for each in Settings.__struct_fields__}
    return msgspec.convert(named, Settings, strict=False, dec_hook=lambda kind, value: kind(value))
