"""What producers, people and operators do while faults strike: from a seed, one step at a time."""

import asyncio
import random
import time
from typing import Any

from proof.load.crowd import Crowd, Person, change_of
from proof.load.outbox import Outbox
from proof.load.plan import LoadPlan
from schemas import ids, topics
from schemas.instants import rfc3339
from schemas.recipient_events import ImportBatch, ImportedRecipient, ImportedWish
from schemas.topics import SCHEMA_VERSION_HEADER

_RUBBISH: tuple[bytes | None, ...] = (
    None, b"", b"not json", b"[]", b"\xff\xfe", b'{"user_id":"ann"}', b"[" * 4000,
    b'{"user_id":"ann","type":"code","requested_at":"2026-06-15T15:00:00"}',
    b'{"user_id":"ann","type":"code","data":{"number":"1"},"surprise":1}',
    b'{"user_id":"a\\u0000b","type":"code"}', b'{"user_id":"ann","type":"code","data":{"x":1e999}}',
    b'{"user_id":"ann","type":"code","data":"' + b"x" * 800_000 + b'"}',
)  # fmt: skip
_NEWER = ((SCHEMA_VERSION_HEADER, b"1.7"),)
_PAUSED = (
    ("channel", "sms"), ("channel", "email"), ("type", "news"), ("provider", "fcm"),
    ("tenant", "shop"),
)  # fmt: skip


class Traffic:
    """Does one thing after the other to an installation."""

    def __init__(self, plan: LoadPlan, outbox: Outbox, crowd: Crowd) -> None:
        self._plan = plan
        self._outbox = outbox
        self._crowd = crowd
        self._random = random.Random(plan.seed)
        self._number = plan.first
        self._keyed: list[dict[str, Any]] = []
        self._broadcasts: list[dict[str, Any]] = []
        self._paused: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For the planned time; at its end nothing is paused any more."""
        names, weights = zip(*self._plan.steps.items(), strict=True)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._plan.seconds
        next_at = loop.time()
        while next_at < until:
            getattr(self, self._random.choices(names, weights)[0])()
            next_at += self._random.expovariate(self._plan.rate)
            await asyncio.sleep(max(0.0, next_at - loop.time()))  # open loop: never later for lag
        while self._paused:
            await asyncio.wait(self._paused)

    def ask(self) -> None:
        self._request(self._anything())

    def ask_many(self) -> None:
        """Several requests in one record, perhaps with something that nobody can read."""
        first, *others = (self._anything() for _ in range(self._random.randint(2, 24)))
        partition = self._place_for(first["user_id"])
        asked = {self._next(): first} | {
            self._next(): said
            for said in others
            if partition == self._outbox.home_of(said["user_id"])
            or self._random.random() < self._plan.misplaced_share
        }
        topic = topics.REQUESTED[self._random.choice(self._plan.lanes)]
        is_spoiled = self._random.random() < 0.2
        self._outbox.requests(topic, asked, partition=partition, is_spoiled=is_spoiled)

    def _anything(self) -> dict[str, Any]:
        """One request of any kind."""
        kinds, weights = zip(*self._plan.kinds.items(), strict=True)
        person, chance = self._somebody(), self._random.random
        number = str(self._next())
        said: dict[str, Any] = {
            "user_id": person.user_id,
            "type": self._random.choices(kinds, weights)[0],
            "data": {"number": number},
        }
        if chance() < 0.7:
            said["idempotency_key"] = f"key-{number}"
        if self._plan.ttl_seconds is not None:
            said["ttl_seconds"] = self._plan.ttl_seconds
        if chance() < 0.03:
            said["ttl_seconds"] = self._random.choice((1, 3))
        if chance() < 0.06:
            said["send_at"] = rfc3339(_now_ms() + self._random.choice((1_500, 4_000)))
        if chance() < 0.1:
            said["channels"] = self._random.sample(("push", "email", "sms"), 1)
        if chance() < 0.05:
            said["tenant"] = "shop"
        if chance() < 0.01:
            said["type"] = "no_such_type"
        if chance() < 0.01:
            said["data"] = {}
        if chance() < 0.05:
            stranger = f"stranger-{number}"
            said |= {"user_id": stranger, "recipient": {"email": f"{stranger}@example.org"}}
        if "idempotency_key" in said:
            self._keyed.append(said)
        return said

    def ask_again(self) -> None:
        """A producer that repeats itself, perhaps by another lane."""
        if self._keyed:
            self._request(self._random.choice(self._keyed[-self._plan.recent :]))

    def contradict(self) -> None:
        """The same key for something else."""
        if self._keyed:
            number = str(self._number)
            said = self._random.choice(self._keyed[-self._plan.recent :])
            self._request(said | {"data": {"number": number}})

    def blunder(self) -> None:
        """A record that nobody can read."""
        topic = self._random.choice(
            (*topics.REQUESTED.values(), topics.RECIPIENTS_CHANGED, topics.BROADCASTS_REQUESTED)
        )
        value = self._random.choice(_RUBBISH)
        self._outbox.rubbish(topic, value, partition=self._any_partition())

    def cancel(self) -> None:
        if self._random.random() < 0.8 and self._keyed:
            said = self._random.choice(self._keyed[-5:])
            user, key = said["user_id"], said["idempotency_key"]
            told = {"user_id": user, "idempotency_key": key}
            if "tenant" in said:
                return  # the ledger knows a key by its user only
        elif self._broadcasts:
            key, user = self._random.choice(self._broadcasts[-2:])["idempotency_key"], ""
            told = {"broadcast_id": ids.to_text(ids.broadcast_id("", key))}
        else:
            return
        self._outbox.cancel(told, key=key, user_id=user, partition=self._any_partition())

    def announce(self) -> None:
        number, chance = str(self._number), self._random.random
        said: dict[str, Any] = {
            "type": self._random.choice(("news", "news", "alarm")),
            "data": {"number": number},
            "idempotency_key": f"broadcast-{number}",
        }
        if self._plan.ttl_seconds is not None:
            said["ttl_seconds"] = self._plan.ttl_seconds
        if chance() < 0.7:
            said["audience"] = self._crowd.audience
        else:
            some = self._random.sample(self._crowd.people, min(12, len(self._crowd.people)))
            said["user_ids"] = [each.user_id for each in some]
        if chance() < 0.2:
            said["max_per_second"] = len(self._crowd.people) // 3  # or a crowd would take minutes
        self._broadcasts.append(said)
        self._broadcast(said)

    def announce_again(self) -> None:
        if self._broadcasts:
            self._broadcast(self._random.choice(self._broadcasts[-3:]))

    def refuse(self) -> None:
        """Somebody opts out, of a channel or a type."""
        self._choose(is_on=False)

    def consent(self) -> None:
        self._choose(is_on=True)

    def move(self) -> None:
        """Another mailbox."""
        person = self._somebody()
        if person.trait != "barred":  # whose address would no longer be the barred one
            email = f"{person.user_id}-{self._number}@example.org"
            self._change(person, "recipient_updated", email=email)

    def hand_over(self) -> None:
        """Somebody has another's phone now."""
        owner, buyer = self._random.sample(self._crowd.people, 2)
        if owner.trait == "plain" and owner.tokens:
            device = {"device_id": "bought", "platform": "android"}
            self._change(buyer, "device_registered", token=owner.tokens[0], source="user", **device)

    def lose_phone(self) -> None:
        person = self._somebody()
        if person.tokens:
            self._change(person, "device_removed", device_id="d0", source="user")

    def sleep(self) -> None:
        """Somebody wants to be left alone: at this time of the day, or at another."""
        person = self._somebody()
        hours = person.around(*self._random.choice(((-2, 3), (6, 9))))
        channel = self._random.choice(("email", "push"))
        self._wish(person, {channel: {"quiet_hours": hours}})

    def want_less(self) -> None:
        channel = self._random.choice(("push", "email", "sms"))
        self._wish(self._somebody(), {channel: {"daily_limit": self._random.choice((1, 2, 5))}})

    def bar(self) -> None:
        """An address is not to be used: for good, for a while, or until somebody says otherwise."""
        person, said = self._somebody(), {"channel": self._random.choice(("email", "sms"))}
        until = {"until": rfc3339(_now_ms() + 5_000)} if self._random.random() < 0.4 else {}
        self._change(person, "address_suppressed", reason="complaint", **said, **until)
        if self._random.random() < 0.4:
            self._change(person, "address_released", occurred_at=_soon(), **said)

    def leave_audience(self) -> None:
        person, audience = self._somebody(), self._crowd.audience
        change = self._random.choice(("audience_joined", "audience_left"))
        self._change(person, change, audience=audience)

    def go_away(self) -> None:
        """Somebody wants to be forgotten, and may be back at once."""
        person = self._somebody()
        self._change(person, "recipient_deleted", source="user")
        if self._random.random() < 0.5:
            said = {"source": "user", "email": person.email, "occurred_at": _soon()}
            self._change(person, "recipient_updated", **said)

    def bring_file(self) -> None:
        """An import, of people who said more of themselves since."""
        person = self._somebody()
        wish = ImportedWish(self._random.choice(("in_app", "sms")), self._random.random() < 0.5)
        line = ImportedRecipient(person.user_id, _now_ms(), wishes=(wish,))
        self._outbox.bring(ImportBatch([line]))

    def pause(self) -> None:
        task = asyncio.create_task(self._pause())
        self._paused.add(task)
        task.add_done_callback(self._paused.discard)

    async def _pause(self) -> None:
        scope, name = self._random.choice(_PAUSED)
        for action in ("pause", "resume"):
            said = {"scope": scope, "name": name, "occurred_at": rfc3339(_now_ms())}
            await self._outbox.control(said | {"action": action})
            if action == "pause":
                await asyncio.sleep(self._random.uniform(1, 4))

    def _choose(self, *, is_on: bool) -> None:
        person = self._somebody()
        if self._random.random() < 0.6:
            channel = self._random.choice(("push", "email", "sms", "in_app"))
            wishes: dict[str, Any] = {channel: {"enabled": is_on}}
        else:
            wishes = {"types": {self._random.choice(("order", "news", "code")): is_on}}
        self._wish(person, wishes)

    def _wish(self, person: Person, wishes: dict[str, Any]) -> None:
        self._change(person, "preferences_updated", preferences=wishes)

    def _request(self, said: dict[str, Any]) -> None:
        is_newer = self._random.random() < self._plan.newer_share
        topic = topics.REQUESTED[self._random.choice(self._plan.lanes)]
        self._outbox.request(
            self._next(),
            topic,
            said | {"mood": "fine"} if is_newer else said,
            partition=self._place_for(said["user_id"]),
            headers=_NEWER if is_newer else (),
        )

    def _broadcast(self, said: dict[str, Any]) -> None:
        self._outbox.broadcast(self._next(), said, partition=self._any_partition())

    def _change(self, person: Person, change: str, **said: Any) -> None:
        user_id = person.user_id
        told = change_of(user_id, change, **said)
        self._outbox.change(told, partition=self._place_for(user_id))

    def _somebody(self) -> Person:
        people = self._crowd.people
        return self._random.choice(
            people[:3] if self._random.random() < self._plan.hot_share else people
        )

    def _place_for(self, user_id: str) -> int:
        """Where their records belong, unless the producer hashes otherwise."""
        if self._random.random() < self._plan.misplaced_share:
            return self._any_partition()
        return self._outbox.home_of(user_id)

    def _any_partition(self) -> int:
        return self._random.randrange(self._outbox.partitions)

    def _next(self) -> int:
        number = self._number
        self._number += 1
        return number


def _soon() -> str:
    """After what was just said."""
    return rfc3339(_now_ms() + 1)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
