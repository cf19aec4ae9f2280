"""What people and producers say to a pipeline, what they are told, and what reaches them."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.ledger import Entry, read_ledger
from schemas import ids, topics
from schemas.instants import rfc3339
from schemas.recipient_events import (
    ImportBatch,
    ImportedDevice,
    ImportedRecipient,
    encode_import,
)
from tests.acceptance.pipeline_lab import PARTITIONS
from tests.acceptance.scripted_lab import ScriptedPipeline as Pipeline
from tests.acceptance.scripted_lab import where

ORDER = {"order_id": "7", "total": "1 EUR"}
CODE = {"code": "123456"}
CRITICAL = topics.REQUESTED["critical"]
KNOWN_SECONDS = 2.0
"""What an operator or a person says is obeyed within one; a machine with much else to do takes two."""
PATIENCE_SECONDS = 60
_numbers = itertools.count()


async def mail(opened: Pipeline, user: str, *, key: str = "", **said: Any) -> str:
    """Ask for an order's confirmation by e-mail, to an address that comes with the request."""
    asked = {"channels": ["email"], "recipient": {"email": mailbox(user)}, "data": ORDER} | said
    return await opened.request(user, "order_confirmed", key=key or a_key(), **asked)


async def order(opened: Pipeline, user: str, channel: str, **said: Any) -> str:
    """The same to what is known of the user."""
    asked = {"channels": [channel], "data": ORDER} | said
    return await opened.request(user, "order_confirmed", key=a_key(), **asked)


async def text(opened: Pipeline, user: str, number: str, **said: Any) -> str:
    """Ask for a one-time password by SMS."""
    asked = {"topic": CRITICAL, "recipient": {"phone": number}, "data": CODE} | said
    return await opened.request(user, "login_code", key=a_key(), **asked)


async def change(opened: Pipeline, user: str, what: str, **said: Any) -> None:
    """The person says so."""
    told = {"user_id": user, "source": "user", "occurred_at": in_seconds(0), "change": what}
    await opened.put(topics.RECIPIENTS_CHANGED, told | said)


async def refuse(opened: Pipeline, user: str, preferences: Mapping[str, Any]) -> None:
    await change(opened, user, "preferences_updated", preferences=preferences)


async def bring(opened: Pipeline, users: Iterable[str], *, audience: str = "") -> None:
    """Import people with a mailbox and a device each."""
    now_ms = time.time_ns() // 1_000_000
    by_home: defaultdict[int, list[ImportedRecipient]] = defaultdict(list)
    for user in users:
        by_home[ids.partition_of(user, PARTITIONS)].append(
            ImportedRecipient(
                user, now_ms, email=mailbox(user), audiences=(audience,) if audience else (),
                devices=(ImportedDevice("phone", token(user), "android"),),
            )
        )  # fmt: skip
    for home, people in by_home.items():
        for start in range(0, len(people), 500):
            value = encode_import(ImportBatch(people[start : start + 500]))
            await opened.append(topics.RECIPIENTS_IMPORTED, value, partition=home)


async def known() -> None:
    """Wait until senders obey what was said; they do not tell when they have heard it."""
    await asyncio.sleep(KNOWN_SECONDS)


async def until(opened: Pipeline, condition: Callable[[], bool]) -> None:
    assert await opened.until(condition, within_seconds=PATIENCE_SECONDS)


async def until_told(opened: Pipeline, notification_id: str, *statuses: str) -> None:
    """Until a receipt has one of these."""
    await until(opened, lambda: any(e.status in statuses for e in opened.told[notification_id]))


async def until_settled(opened: Pipeline, *notifications: str) -> None:
    """Until nothing more is to follow."""
    left = await opened.unsettled(notifications, within_seconds=PATIENCE_SECONDS)
    assert not left, where(opened, left)


async def until_accepted(opened: Pipeline, address: str) -> None:
    await until(opened, lambda: bool(accepted_at(opened, address)))


async def until_texted(opened: Pipeline, count: int) -> None:
    await until(opened, lambda: len(texts(opened)) >= count)


def told(opened: Pipeline, notification_id: str, kind: str = "delivery") -> list[tuple[str, str]]:
    """(status, reason) of its receipts, in their order."""
    return [
        (each.status, each.reason) for each in opened.told[notification_id] if each.kind == kind
    ]


def accepted_at(opened: Pipeline, address: str) -> list[Entry]:
    return [each for each in accepted(opened) if each.address == address]


def texts(opened: Pipeline) -> list[Entry]:
    return [each for each in accepted(opened) if each.provider == "twilio"]


def accepted(opened: Pipeline) -> list[Entry]:
    return [each for each in read_ledger(opened.sandbox.ledger_dir) if each.status < 300]


def member(key: str, user: str) -> str:
    """The notification that a broadcast is for one of its audience."""
    home = ids.partition_of(user, PARTITIONS)
    return ids.to_text(ids.member_notification_id(ids.broadcast_id("", key), user, home))


def a_key() -> str:
    return f"key-{next(_numbers)}"


def mailbox(user: str) -> str:
    return f"{user}@example.org"


def token(user: str) -> str:
    return f"token-of-{user}"


def in_seconds(seconds: float) -> str:
    return rfc3339(time.time_ns() // 1_000_000 + round(seconds * 1000))
