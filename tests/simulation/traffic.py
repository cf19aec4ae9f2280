"""What the outside says in a simulated world: producers, people, operators, and their mistakes."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from schemas import ids, topics
from schemas.instants import rfc3339
from schemas.kafka import Headers, Record
from schemas.recipient_events import (
    ImportBatch,
    ImportedRecipient,
    ImportedWish,
    encode_import,
)
from tests.simulation.carrier import DEAD
from tests.simulation.real import PARTITIONS, RealWorld

USERS = tuple(f"u{number}" for number in range(12))
AUDIENCE = "news"
MEMBERS = USERS[:9]
IDLE_HOURS = "03:00-04:00"
"""Quiet hours that no simulated world reaches."""
RUBBISH = ("sim", b"rubbish")
"""A header for the checker; nobody else looks at it."""

_TYPES = ("code", "alarm", "invoice", "invoice", "offer", "offer", "digest")
_CHANNELS = ("push", "email", "sms", "in_app")
_BROKEN: Sequence[bytes | None] = (
    None, b"", b"rubbish", b"[]", b"\xff\xfe", b'{"user_id":"u1"}', b"[" * 4000,
    b'{"user_id":"u1","type":"code","requested_at":"2025-06-15T15:00:00"}',
    b'{"user_id":"u1","type":"code","data":{"number":"1"},"surprise":1}',
)  # fmt: skip


class Traffic:
    """Produces into one world; `run` is a load for `World.play`."""

    def __init__(self, world: RealWorld) -> None:
        self._world = world
        self._random = world.random
        self._number = 0
        self._intents = itertools.count()
        self._keys: list[tuple[str, dict[str, Any]]] = []
        self._broadcasts: list[dict[str, Any]] = []
        self.misplaced_share = 0.1
        """Of records that a producer puts where its own hash says."""
        self._tokens = [f"token-{number}" for number in range(3)]

    async def run(self, steps: int) -> None:
        """Make everybody known, then `steps` things at random moments, then leave nothing paused."""
        await self.introduce()
        await self._world.rest()
        doings: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.ask, 30), (self.ask_again, 8), (self.contradict, 3), (self.blunder, 4),
            (self.broadcast, 3), (self.broadcast_again, 2), (self.refuse, 5), (self.consent, 3),
            (self.cancel, 4), (self.pause_for_a_while, 2), (self.hand_over_phone, 4),
            (self.bring_file, 2), (self.move, 2),
        ]  # fmt: skip
        actions, weights = zip(*doings, strict=True)
        running = []
        for _ in range(steps):
            (action,) = self._random.choices(actions, weights)
            running.append(asyncio.ensure_future(action()))
            await asyncio.sleep(self._random.expovariate(1 / 0.2))
        await asyncio.gather(*running)

    async def introduce(self) -> None:
        for place, user in enumerate(USERS):
            address = DEAD if place == 11 else user
            zone = ("UTC", "Europe/Berlin", "Asia/Kolkata")[place % 3]
            await self.change(
                user, "recipient_updated", source="producer",
                email=f"{address}@example.org", phone=f"+1415555{place:04d}", timezone=zone,
            )  # fmt: skip
            for device in range(place % 3):
                await self.register(user, f"d{device}", f"{user}-{device}")
            if user in MEMBERS:
                await self.change(user, "audience_joined", source="user", audience=AUDIENCE)
        # It is a little past 17:06 in Berlin, where both are.
        await self.wish("u4", "email", quiet_hours="17:00-17:08")
        for channel in ("email", "push", "sms"):
            await self.wish("u1", channel, quiet_hours="17:08-17:13")
        await self.wish("u7", "push", quiet_hours=IDLE_HOURS)

    async def ask(self) -> None:
        """One request of any kind."""
        user = self._random.choice(USERS)
        request: dict[str, Any] = {
            "user_id": user,
            "type": self._random.choice(_TYPES),
            "data": {"number": self._next()},
        }
        chance = self._random.random
        if chance() < 0.6:
            request["idempotency_key"] = f"k{self._number}"
        if chance() < 0.1:
            request["ttl_seconds"] = self._random.choice((1, 5, 60))
        if chance() < 0.1:
            at_ms = self._world.loop.now_ms() + self._random.choice((2_000, 20_000))
            request["send_at"] = rfc3339(at_ms)
        if chance() < 0.1:
            request["channels"] = self._random.sample(_CHANNELS, self._random.choice((1, 2)))
        if chance() < 0.04:
            request["type"] = "no_such_type"
        if chance() < 0.04:
            request["data"] = {}
        if chance() < 0.05:
            request["user_id"] = f"new{self._number}"
            request["recipient"] = {"email": f"new{self._number}@example.org"}
        if "idempotency_key" in request:
            self._keys.append((user, request))
        await self.request(request)

    async def ask_again(self) -> None:
        """A producer that repeats itself, perhaps by another lane."""
        if self._keys:
            _, request = self._random.choice(self._keys)
            await self.request(request)

    async def contradict(self) -> None:
        """The same key for something else."""
        if self._keys:
            _, request = self._random.choice(self._keys)
            await self.request(request | {"data": {"number": "another"}})

    async def blunder(self) -> None:
        """A record that nobody can read."""
        topic = self._random.choice(
            (*topics.REQUESTED.values(), topics.RECIPIENTS_CHANGED, topics.BROADCASTS_REQUESTED)
        )
        value = self._random.choice(_BROKEN)
        await self.put(topic, self._random.randrange(PARTITIONS), value, headers=(RUBBISH,))

    async def broadcast(self) -> None:
        chance = self._random.random
        broadcast: dict[str, Any] = {
            "type": self._random.choice(("invoice", "offer", "alarm")),
            "data": {"number": self._next()},
            "idempotency_key": f"b{self._number}",
        }
        if chance() < 0.7:
            broadcast["audience"] = AUDIENCE
        else:
            broadcast["user_ids"] = self._random.sample(USERS, 5)
        if chance() < 0.3:
            broadcast["max_per_second"] = 2
        self._broadcasts.append(broadcast)
        await self.broadcast_again()

    async def broadcast_again(self) -> None:
        if self._broadcasts:
            broadcast = self.numbered(self._random.choice(self._broadcasts[-2:]))
            value = json.dumps(broadcast).encode()
            await self.put(topics.BROADCASTS_REQUESTED, self._random.randrange(PARTITIONS), value)

    async def refuse(self) -> None:
        """Somebody opts out, of a channel or a type."""
        await self._choose(False)

    async def consent(self) -> None:
        await self._choose(True)

    async def cancel(self) -> None:
        if self._random.random() < 0.7 and self._keys:
            user, request = self._random.choice(self._keys[-3:])
            said = {"user_id": user, "idempotency_key": request["idempotency_key"]}
            if request["user_id"] != user:
                return
        elif self._broadcasts:
            key = self._random.choice(self._broadcasts[-2:])["idempotency_key"]
            said = {"broadcast_id": ids.to_text(ids.broadcast_id("", key))}
        else:
            return
        partition = self._random.randrange(PARTITIONS)
        await self.put(topics.NOTIFICATIONS_CANCELLED, partition, json.dumps(said).encode())

    async def pause_for_a_while(self) -> None:
        scope, name = self._random.choice(
            (("channel", "sms"), ("channel", "email"), ("type", "offer"), ("provider", "push-one"))
        )
        await self.control("pause", scope, name)
        await asyncio.sleep(self._random.uniform(1, 10))
        await self.control("resume", scope, name)

    async def hand_over_phone(self) -> None:
        """A token is registered by whoever has the phone now; its news may overtake each other."""
        user, token = self._random.choice(USERS), self._random.choice(self._tokens)
        at_ms = self._world.loop.now_ms() - self._random.choice((0, 0, 5_000))
        await self.register(user, "phone", token, at_ms=at_ms)

    async def bring_file(self) -> None:
        """An import of some recipients, who did not ask for it."""
        partition = self._random.randrange(PARTITIONS)
        now_ms = self._world.loop.now_ms()
        wishes = (ImportedWish(self._random.choice(_CHANNELS), self._random.random() < 0.5),)
        lines = [
            ImportedRecipient(user, now_ms, phone=f"+1415556{place:04d}", wishes=wishes)
            for place, user in enumerate(USERS)
            if ids.partition_of(user, PARTITIONS) == partition and self._random.random() < 0.5
        ]
        await self.put(topics.RECIPIENTS_IMPORTED, partition, encode_import(ImportBatch(lines)))

    async def move(self) -> None:
        """Somebody has another mailbox."""
        user = self._random.choice(USERS[:8])
        await self.change(
            user, "recipient_updated", source="producer", email=f"{user}-{self._next()}@example.org"
        )

    async def request(self, request: dict[str, Any], *, topic: str = "") -> None:
        topic = topic or self._random.choice(list(topics.REQUESTED.values()))
        await self.put_for(request["user_id"], topic, self.numbered(request))

    def numbered(self, request: dict[str, Any]) -> dict[str, Any]:
        """As an intent of its own, repeat or not: receipts echo which one they are about."""
        return request | {"metadata": {"intent": next(self._intents)}}

    async def change(
        self, user: str, change: str, *, at_ms: int | None = None, **said: Any
    ) -> None:
        at_ms = self._world.loop.now_ms() if at_ms is None else at_ms
        told = {"change": change, "user_id": user, "occurred_at": rfc3339(at_ms), **said}
        await self.put_for(user, topics.RECIPIENTS_CHANGED, told)

    async def wish(self, user: str, channel: str, **said: Any) -> None:
        preferences = {channel: said}
        await self.change(user, "preferences_updated", source="user", preferences=preferences)

    async def register(
        self, user: str, device_id: str, token: str, *, at_ms: int | None = None
    ) -> None:
        await self.change(
            user, "device_registered", source="user", at_ms=at_ms,
            device_id=device_id, token=token, platform="android",
        )  # fmt: skip

    async def control(self, action: str, scope: str, name: str) -> None:
        now = rfc3339(self._world.loop.now_ms())
        said = {"action": action, "scope": scope, "name": name, "occurred_at": now}
        value = json.dumps(said).encode()
        await self._world.produce(Record(topics.CONTROLS, 0, value, f"{scope}:{name}".encode()))

    async def put_for(self, user: str, topic: str, said: dict[str, Any]) -> None:
        """In the user's partition, unless the producer hashes otherwise."""
        partition = ids.partition_of(user, PARTITIONS)
        if self._random.random() < self.misplaced_share:
            partition = self._random.randrange(PARTITIONS)
        await self.put(topic, partition, json.dumps(said).encode(), key=user.encode())

    async def put(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> None:
        await self._world.produce(Record(topic, partition, value, key, headers))

    async def _choose(self, enabled: bool) -> None:
        user = self._random.choice(USERS)
        if self._random.random() < 0.6:
            await self.wish(user, self._random.choice(_CHANNELS), enabled=enabled)
        else:
            preferences = {"types": {self._random.choice(("invoice", "offer", "code")): enabled}}
            await self.change(user, "preferences_updated", source="user", preferences=preferences)

    def _next(self) -> str:
        self._number += 1
        return str(self._number)
