"""What the server asks of every provider: judge one request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from sandbox.http import Reply, Request


class Message(msgspec.Struct, kw_only=True):
    """One accepted message as the page shows it."""

    id: int = 0
    at_ms: int = 0
    provider: str = ""
    channel: str
    to: str
    to_name: str = ""
    sender: str = ""
    title: str = ""
    text: str = ""
    html: str = ""
    user: str = ""
    delivery_id: str = ""
    notification_id: str = ""
    batch: int = 1
    """How many messages the request had; of a large batch only some are shown."""
    is_answered: bool = True


@dataclass(slots=True)
class Accepted:
    """A request the vendor would take: `reply` is what it answers. Columns as in the ledger."""

    reply: Reply
    message_id: str = ""
    round: int = 0
    attempt: int = 0
    addresses: list[str] = field(default_factory=list)
    delivery_ids: list[str] = field(default_factory=list)
    notification_ids: list[str] = field(default_factory=list)
    body_hashes: list[int] = field(default_factory=list)
    magic: str = ""
    """The fault that an address of the request asks for, see `sandbox/faults.py`."""
    preview: Callable[[int], list[Message]] = lambda limit: []
    """Up to `limit` of the messages, made only when the page wants them."""


class Provider(Protocol):
    """Stateless but for credentials and limits; never awaits, never reads a clock."""

    name: str

    def serves(self, path: str) -> bool: ...

    def judge(self, request: Request, now: float) -> Accepted | Reply:
        """What the vendor would do: take it, or refuse it in the vendor's own words."""
        ...

    def error(self, code: str, retry_after_seconds: float | None) -> Reply | None:
        """The vendor's answer for one of its error codes or an HTTP status; None: no such code."""
        ...


def retry_after(seconds: float | None) -> tuple[tuple[str, str], ...]:
    return () if seconds is None else (("Retry-After", f"{seconds:g}"),)


def to_int(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
