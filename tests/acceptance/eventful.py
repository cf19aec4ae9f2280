"""Traffic in which everything happens that a stage knows of, again and again, until it is ended.

Requests in all lanes, repeats, strays, rubbish, broadcasts and their repeats, what is put off and wakes,
what is refused and goes on by another channel, what is throttled and retried, pauses, imports,
changes of addresses, cancellations.
"""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from sandbox.faults import FaultRule
from schemas import ids, topics
from schemas.delivery import Lane
from schemas.instants import rfc3339
from schemas.recipient_events import ImportBatch, ImportedRecipient, encode_import
from tests.acceptance.pipeline_lab import PARTITIONS
from tests.acceptance.scripted_lab import ScriptedPipeline

PEOPLE = 160
AUDIENCES = 8
HELD, BULKY = "held", "bulky"
"""Tenants whose notifications are paused and released."""
NO_ROUTE = "+15005550002"
"""Twilio's own test number for a message that it will never carry."""
LARGE = "x" * 90_000
"""Some of these in one partition are more than one yield of `Release` takes."""
ALIKE = 8
MOST_UNKNOWN = 200

Said = dict[str, Any]


def person(number: int) -> str:
    return f"person-{number % PEOPLE}"


def stranger(number: int) -> str:
    return f"stranger-{number}"


def mood(number: int) -> str:
    """Of the providers, towards this person's addresses."""
    return {1: "slow", 2: "busy"}.get(number % 10, "quick")


def mailbox(number: int) -> str:
    return f"{mood(number)}-{number}@example.org"


def phone(number: int) -> str:
    kind = {1: "6", 2: "7"}.get(number % 10, "5")
    return NO_ROUTE if number % 10 == 3 else f"+141555{kind}{number % 10_000:04d}"


class Traffic:
    """On one pipeline; `flowing` is a context, inside of which it flows."""

    def __init__(
        self, opened: ScriptedPipeline, *, urgent_seconds: int, wants_large: Callable[[], bool]
    ) -> None:
        """`urgent_seconds`: how long what is sent again when in doubt is worth anything.
        `wants_large`: whether more is to be paused than one yield of `Release` takes."""
        self.wanted: set[str] = set()
        """Notifications that must become known."""
        self._opened = opened
        self._wants_large = wants_large
        self._urgent = {"ttl_seconds": urgent_seconds}
        self._numbers = itertools.count()
        self._ending = asyncio.Event()
        self._last: tuple[str, str, Said] | None = None
        """What was asked for last, to be asked for again."""
        self._busy: list[int] = []

    async def introduce(self) -> None:
        """Every tenth person has slow providers, every tenth busy ones, another no route by SMS."""
        self._busy = await self._opened.faults(
            *(
                FaultRule(
                    effect="answer", code="429", address=busy, share=0.2, retry_after_seconds=1
                )
                for busy in ("*busy*", "+1415557*")
            )
        )
        await self._opened.faults(
            *(
                FaultRule(effect="delay", address=slow, delay_seconds=1.0)
                for slow in ("*slow*", "+1415556*")
            )
        )
        await asyncio.gather(*map(self._introduce, range(PEOPLE)))
        await self._opened.until_handled(topics.RECIPIENTS_CHANGED, 3 * PEOPLE)

    async def _introduce(self, number: int) -> None:
        user = person(number)
        await self._change(
            user, "recipient_updated", email=mailbox(number), phone=phone(number), timezone="UTC"
        )
        await self._register(user, f"{mood(number)}-{number}-abcdefgh")
        await self._change(user, "audience_joined", audience=f"readers-{number % AUDIENCES}")

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """What has been begun is ended on the way out; nothing is left paused."""
        self._ending.clear()
        loops: list[tuple[Callable[[], Awaitable[None]], float]] = [
            (self._ask, 0.1), (self._announce, 3.0), (self._hold, 0.5), (self._hold_much, 0.5),
            (self._move, 0.3), (self._import, 1.0), (self._think_better, 0.5),
        ]  # fmt: skip
        running = [asyncio.create_task(self._repeat(step, pause)) for step, pause in loops]
        try:
            yield
        finally:
            self._ending.set()
            await asyncio.gather(*running)
            await self._opened.no_faults(self._busy)  # or the last ones would come after minutes

    async def _repeat(self, step: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
        while not self._ending.is_set():
            await self._opened.until(self._keep_pace, within_seconds=5)
            await step()
            with contextlib.suppress(TimeoutError):  # the rhythm of this kind of event
                await asyncio.wait_for(self._ending.wait(), pause_seconds)

    def _keep_pace(self) -> bool:
        """Deciding is not far behind: what is asked for now is to happen soon."""
        return len(self.wanted - self._opened.told.keys()) < MOST_UNKNOWN

    async def _ask(self) -> None:
        """The next of all kinds of requests, each of somebody else."""
        number = next(self._numbers)
        user = person(number * 7)
        match number % 8:
            case 0 | 1:
                await self._code(stranger(number), lane="critical", **at(number))
            case 2:
                await self._code(person(10 * number + 3), lane="critical")
            case 3:
                await self._order(user)
            case 4:
                await self._order(user, lane="bulk")
            case 5:
                await self._put_off(user)
            case 6:
                await self._order(user, is_stray=True)
            case 7:
                await self._blunder(number)

    async def _blunder(self, number: int) -> None:
        """A producer that repeats itself, and one that writes rubbish."""
        if self._last is not None:
            user, kind, said = self._last
            await self._opened.request(user, kind, topic=topics.REQUESTED["bulk"], **said)
        normal, partition = topics.REQUESTED["normal"], number % PARTITIONS
        await self._opened.append(normal, b"rubbish", partition=partition)

    async def _announce(self) -> None:
        """A broadcast, and its repeat by another partition."""
        number = next(self._numbers)
        audience = number % AUDIENCES
        key = f"news-{number}"
        said = {
            "type": ("friend_joined", "security_alert")[number % 2],
            "audience": f"readers-{audience}",
            "data": {"friend": "Noor", "place": "Lisbon"},
            "idempotency_key": key,
            **self._urgent,
        }
        await self._opened.broadcast(said, partition=number % PARTITIONS)
        await self._opened.broadcast(said, partition=(number + 1) % PARTITIONS)
        broadcast_id = ids.broadcast_id("", key)
        for member in range(audience, PEOPLE, AUDIENCES):
            home = ids.partition_of(person(member), PARTITIONS)
            member_id = ids.member_notification_id(broadcast_id, person(member), home)
            self.wanted.add(ids.to_text(member_id))

    async def _hold(self) -> None:
        await self._pause_for(HELD, 3, "")

    async def _hold_much(self) -> None:
        if self._wants_large():
            await self._pause_for(BULKY, ALIKE, LARGE)

    async def _pause_for(self, tenant: str, count: int, text: str) -> None:
        """Notifications to one partition that wait for the end of a pause, by every channel."""
        opened, number = self._opened, next(self._numbers)
        await opened.control("pause", "tenant", tenant)
        asked = []
        for each in _alike(person, number, count):
            asked.append(
                await self._alert(person(each), text, tenant=tenant, channels=["push", "in_app"])
            )
        for each in _alike(stranger, number, count):
            who = {"tenant": tenant, **at(each)}
            asked.append(await self._alert(stranger(each), text, channels=["email"], **who))
            asked.append(await self._code(stranger(each), text, **who))
        await opened.until(
            lambda: all(self._is_held(each) for each in asked), within_seconds=15
        )  # not all, if a worker was too slow to hear of the pause: then the next ones will be
        await opened.control("resume", "tenant", tenant)

    def _is_held(self, notification_id: str) -> bool:
        told = self._opened.told[notification_id]
        return bool(told) and all(
            any(each.delivery_id == other.delivery_id and each.status != "queued" for each in told)
            for other in told
        )

    async def _move(self) -> None:
        """Somebody has another mailbox and telephone, which says nothing to senders any more."""
        number = next(self._numbers)
        user = f"mover-{number % 40}"
        await self._change(user, "recipient_updated", email=f"quick-{number}@example.org")
        await self._register(user, f"fail-unregistered:{number}")
        await self._alert(user)

    async def _import(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        user = f"imported-{next(self._numbers)}"
        line = ImportedRecipient(user, now_ms, email=f"quick-{user}@example.org")
        home = ids.partition_of(user, PARTITIONS)
        value = encode_import(ImportBatch([line]))
        await self._opened.append(topics.RECIPIENTS_IMPORTED, value, partition=home)

    async def _think_better(self) -> None:
        """A request that is called off before its time."""
        number = next(self._numbers)
        key = f"called-off-{number}"
        await self._put_off(person(number), key=key)
        called_off = json.dumps({"user_id": person(number), "idempotency_key": key}).encode()
        await self._opened.append(topics.NOTIFICATIONS_CANCELLED, called_off, partition=0)

    async def _put_off(self, user: str, **said: Any) -> str:
        """To be sent later; in the lane that is served first, or it would be late when it is read."""
        return await self._order(user, lane="critical", send_at=_in_ms(5000), **said)

    async def _order(self, user: str, **said: Any) -> str:
        return await self._request(
            user, "order_confirmed", {"order_id": "7", "total": "1 EUR"}, said
        )

    async def _code(self, user: str, text: str = "", **said: Any) -> str:
        data = {"code": "123456", "text": text}
        return await self._request(user, "login_code", data, self._urgent | said)

    async def _alert(self, user: str, text: str = "", **said: Any) -> str:
        data = {"place": "Lisbon", "text": text}
        return await self._request(user, "security_alert", data, self._urgent | said)

    async def _request(self, user: str, kind: str, data: Said, said: Said) -> str:
        """The notification's id, which is wanted from now on."""
        lane: Lane = said.pop("lane", "normal")
        home = ids.partition_of(user, PARTITIONS)
        partition = (home + 1) % PARTITIONS if said.pop("is_stray", False) else home
        asked: Said = {"key": f"request-{next(self._numbers)}", "data": data} | said
        self._last = user, kind, asked
        notification_id = await self._opened.request(
            user, kind, topic=topics.REQUESTED[lane], partition=partition, **asked
        )
        self.wanted.add(notification_id)
        return notification_id

    async def _register(self, user: str, token: str) -> None:
        await self._change(
            user, "device_registered", device_id="phone", platform="android", token=token
        )

    async def _change(self, user: str, change: str, **said: Any) -> None:
        told = {"user_id": user, "source": "producer", "occurred_at": _in_ms(0)}
        await self._opened.put(topics.RECIPIENTS_CHANGED, told | {"change": change} | said)


def at(number: int) -> Said:
    """Addresses that come with the request, for somebody of whom nothing is known."""
    return {"recipient": {"email": mailbox(number), "phone": phone(number)}}


def _alike(user: Callable[[int], str], first: int, count: int) -> list[int]:
    """So many numbers, from the first on, whose users are in one partition."""
    home = ids.partition_of(user(first), PARTITIONS)
    numbers = itertools.count(first)
    alike = (each for each in numbers if ids.partition_of(user(each), PARTITIONS) == home)
    return list(itertools.islice(alike, count))


def _in_ms(wait_ms: int) -> str:
    return rfc3339(time.time_ns() // 1_000_000 + wait_ms)
