"""What the outside says in a simulated world: producers, people, operators, and their mistakes."""

import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from schemas import ids, topics
from schemas.delivery import CHANNELS, Channel
from schemas.instants import rfc3339
from schemas.kafka import Headers, Record
from schemas.recipient_events import (
    ImportBatch,
    ImportedDevice,
    ImportedRecipient,
    ImportedWish,
    encode_import,
)
from tests.simulation.carrier import DEAD
from tests.simulation.real import BY_LAW, PARTITIONS, RULES

USERS = tuple(f"u{number}" for number in range(12))
AUDIENCES: Mapping[str, Sequence[str]] = {
    "news": USERS[:9],
    "town": ("u1", "u4", "u8", "u11"),
    "club": ("u2", "u5", "u6"),
}
"""Who is a member from the beginning to the end."""
IDLE_HOURS = "03:00-04:00"
"""Quiet hours that no simulated world reaches."""
RUBBISH = ("sim", b"rubbish")
"""A header for the checker; nobody else looks at it."""

_ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata")
_QUIET: Mapping[str, tuple[ImportedWish, ...]] = {
    # It is a little past 17:06 in Berlin, where both are.
    "u4": (ImportedWish("email", quiet_hours="17:00-17:08"),),
    "u1": tuple(
        ImportedWish(channel, quiet_hours="17:08-17:13") for channel in ("email", "push", "sms")
    ),
    "u7": (ImportedWish("push", quiet_hours=IDLE_HOURS),),
}
LARGE = "x" * 90_000
_BROKEN: Sequence[bytes | None] = (
    None, b"", b"rubbish", b"[]", b"\xff\xfe", b'{"user_id":"u1"}', b"[" * 4000,
    b'{"user_id":"u1","type":"code","requested_at":"2025-06-15T15:00:00"}',
    b'{"user_id":"u1","type":"code","data":{"number":"1"},"surprise":1}',
)  # fmt: skip


class Line(NamedTuple):
    """A record that somebody writes, some time after what was said with it."""

    record: Record
    after_seconds: float = 0.0


def introductions(users: Sequence[str], at_ms: int) -> list[Record]:
    """An import that makes them known: two of three have devices, the last has no mailbox."""
    homes: dict[int, list[ImportedRecipient]] = {}
    for user in users:
        place = USERS.index(user)
        address = DEAD if place == 11 else user
        recipient = ImportedRecipient(
            user,
            at_ms,
            email=f"{address}@example.org",
            phone=f"+1415555{place:04d}",
            timezone=_ZONES[place % 3],
            wishes=_QUIET.get(user, ()),
            audiences=tuple(name for name, members in AUDIENCES.items() if user in members),
            devices=tuple(
                ImportedDevice(f"d{device}", f"{user}-{device}", "android")
                for device in range(place % 3)
            ),
        )
        homes.setdefault(ids.partition_of(user, PARTITIONS), []).append(recipient)
    return [
        Record(topics.RECIPIENTS_IMPORTED, partition, encode_import(ImportBatch(some)))
        for partition, some in homes.items()
    ]


class Speaker:
    """Says one thing after the other; what, is determined by its randomness and the time."""

    def __init__(
        self,
        *,
        randomness: random.Random,
        now_ms: Callable[[], int],
        users: Sequence[str] = USERS,
        channels: Sequence[Channel] = CHANNELS,
        first_number: int = 0,
    ) -> None:
        """`channels`: those that the world has; nothing is said that would go by another. Of two who
        speak in one world each has numbers of its own."""
        self._random = randomness
        self._now_ms = now_ms
        self._users = users
        self._channels = channels
        self._types = [
            name
            for name, kind in RULES.types.items()
            if {*kind.channels, *kind.fallback} <= set(channels) and name != BY_LAW
        ]
        self._number = first_number
        self._intents = itertools.count(first_number)
        self._asked: list[dict[str, Any]] = []
        self._announced: list[dict[str, Any]] = []
        self._tokens = [f"token-{number}" for number in range(3)]
        self.misplaced_share = 0.1
        """Of records that a producer puts where its own hash says."""

    def something(self) -> list[Line]:
        """Whatever comes to somebody's mind."""
        (saying,) = self._random.choices(list(SAYINGS), list(SAYINGS.values()))
        return saying(self)

    def ask(self) -> list[Line]:
        """One request of any kind."""
        chance = self._random.random
        request = self._plain(self._random.choice(self._types))
        if chance() < 0.6:
            request["idempotency_key"] = f"k{self._number}"
            self._asked.append(request)
        if chance() < 0.1:
            request["ttl_seconds"] = self._random.choice((1, 5, 60))
        if chance() < 0.1:
            later_ms = self._random.choice((1_000, 20_000))
            request["send_at"] = rfc3339(self._now_ms() + later_ms)
        if chance() < 0.1:
            known = [*RULES.types[request["type"]].channels, "in_app", "sms"]
            request["channels"] = self._random.sample(sorted(set(known)), 2)
        if chance() < 0.04:
            request["type"] = "no_such_type"
        if chance() < 0.04:
            request["data"] = {}
        if chance() < 0.05:
            request["user_id"] = f"new{self._number}"
            request["recipient"] = {"email": f"new{self._number}@example.org"}
        return self.request(request)

    def ask_for_later(self) -> list[Line]:
        """Not yet, though soon."""
        at_ms = self._now_ms() + self._random.choice((300, 1_000))
        request = self._plain(self._random.choice(self._types))
        return self.request(request | {"send_at": rfc3339(at_ms)})

    def ask_what_goes_on(self) -> list[Line]:
        """Of a type that has another channel to go on with."""
        kinds = [name for name in self._types if RULES.types[name].fallback]
        return self.request(self._plain(self._random.choice(kinds or self._types)))

    def ask_again(self) -> list[Line]:
        """A producer that repeats itself, perhaps by another lane."""
        return self.request(self._random.choice(self._asked)) if self._asked else self.ask()

    def contradict(self) -> list[Line]:
        """The same key for something else."""
        if not self._asked:
            return self.ask()
        return self.request(self._random.choice(self._asked) | {"data": {"number": "another"}})

    def blunder(self) -> list[Line]:
        """A record that nobody can read."""
        topic = self._random.choice(
            (*topics.REQUESTED.values(), topics.RECIPIENTS_CHANGED, topics.BROADCASTS_REQUESTED)
        )
        return self._anywhere(topic, self._random.choice(_BROKEN), headers=(RUBBISH,))

    def announce(self) -> list[Line]:
        """A broadcast; several may be under way."""
        chance = self._random.random
        broadcast: dict[str, Any] = {
            "type": self._random.choice(self._types),
            "data": {"number": self._next()},
            "idempotency_key": f"b{self._number}",
        }
        if chance() < 0.7:
            broadcast["audience"] = self._random.choice(list(AUDIENCES))
        else:
            broadcast["user_ids"] = self._random.sample(self._users, min(4, len(self._users)))
        if chance() < 0.3:
            broadcast["max_per_second"] = 2
        self._announced.append(broadcast)
        return self.broadcast(broadcast)

    def announce_again(self) -> list[Line]:
        if not self._announced:
            return self.announce()
        broadcast = self._random.choice(self._announced[-2:])
        return self.broadcast(broadcast)

    def announce_everywhere(self) -> list[Line]:
        """A producer that repeats itself at once, in another partition."""
        (first,) = self.announce()
        (second,) = self.broadcast(self._announced[-1])
        other = 1 - first.record.partition
        return [first, Line(msgspec.structs.replace(second.record, partition=other))]

    def hold_back(self, *, count: int = 2, padding: str = "") -> list[Line]:
        """What is asked while its type is paused."""
        kind, seconds = self._random.choice(self._types), self._random.uniform(0.8, 2.0)
        request = self._plain(kind)
        asked = []
        for _ in range(count):
            request = request | {"data": {"number": self._next(), "padding": padding}}
            asked += self.request(request)
        return [
            *self.control("pause", "type", kind),
            *(Line(each.record, seconds / 2) for each in asked),
            *self.control("resume", "type", kind, later_seconds=seconds),
        ]

    def hold_much_back(self) -> list[Line]:
        """More than one yield of `Release` lets go of."""
        return self.hold_back(count=8, padding=LARGE)

    def refuse(self) -> list[Line]:
        """Somebody opts out, of a channel or a type."""
        return self._choose(False)

    def consent(self) -> list[Line]:
        return self._choose(True)

    def cancel(self) -> list[Line]:
        if self._announced and (not self._asked or self._random.random() < 0.3):
            key = self._random.choice(self._announced[-2:])["idempotency_key"]
            said = {"broadcast_id": ids.to_text(ids.broadcast_id("", key))}
        elif self._asked:
            request = self._random.choice(self._asked[-3:])
            said = {name: request[name] for name in ("user_id", "idempotency_key")}
        else:
            return self.ask()
        return self._anywhere(topics.NOTIFICATIONS_CANCELLED, _json(said))

    def pause_for_a_while(self) -> list[Line]:
        scopes = [("type", each) for each in self._types]
        scopes += [("channel", each) for each in self._channels]
        scopes += [("provider", f"{each}-one") for each in self._channels if each != "in_app"]
        scope, name = self._random.choice(scopes)
        seconds = self._random.uniform(0.5, 4)
        resume = self.control("resume", scope, name, later_seconds=seconds)
        return [*self.control("pause", scope, name), *resume]

    def hand_over_phone(self) -> list[Line]:
        """A token is registered by whoever has the phone now; its news may overtake each other."""
        user, token = self._random.choice(self._users), self._random.choice(self._tokens)
        at_ms = self._now_ms() - self._random.choice((0, 0, 5_000))
        return self.register(user, "phone", token, at_ms=at_ms)

    def bring_file(self) -> list[Line]:
        """An import of some recipients, who did not ask for it."""
        partition = self._random.randrange(PARTITIONS)
        now_ms = self._now_ms()
        wish = ImportedWish(self._random.choice(CHANNELS), self._random.random() < 0.5)
        recipients = [
            ImportedRecipient(user, now_ms, phone=f"+1415556{place:04d}", wishes=(wish,))
            for place, user in enumerate(self._users)
            if ids.partition_of(user, PARTITIONS) == partition and self._random.random() < 0.5
        ]
        value = encode_import(ImportBatch(recipients))
        return [Line(Record(topics.RECIPIENTS_IMPORTED, partition, value))]

    def move(self) -> list[Line]:
        """Somebody has another mailbox."""
        user = self._random.choice([each for each in self._users if each != USERS[11]])
        email = f"{user}-{self._next()}@example.org"
        return self.change(user, "recipient_updated", source="producer", email=email)

    def request(self, request: dict[str, Any], *, topic: str = "") -> list[Line]:
        topic = topic or self._random.choice(list(topics.REQUESTED.values()))
        return self._for(request["user_id"], topic, self.numbered(request))

    def numbered(self, request: dict[str, Any]) -> dict[str, Any]:
        """As an intent of its own, repeat or not: receipts echo which one they are about."""
        return request | {"metadata": {"intent": next(self._intents)}}

    def change(
        self, user: str, change: str, *, at_ms: int | None = None, **said: Any
    ) -> list[Line]:
        at_ms = self._now_ms() if at_ms is None else at_ms
        told = {"change": change, "user_id": user, "occurred_at": rfc3339(at_ms), **said}
        return self._for(user, topics.RECIPIENTS_CHANGED, told)

    def wish(self, user: str, channel: str, **said: Any) -> list[Line]:
        return self._prefer(user, {channel: said})

    def register(
        self, user: str, device_id: str, token: str, *, at_ms: int | None = None
    ) -> list[Line]:
        return self.change(
            user, "device_registered", source="user", at_ms=at_ms,
            device_id=device_id, token=token, platform="android",
        )  # fmt: skip

    def control(
        self, action: str, scope: str, name: str, *, later_seconds: float = 0.0
    ) -> list[Line]:
        at = rfc3339(self._now_ms() + round(later_seconds * 1000))
        said = {"action": action, "scope": scope, "name": name, "occurred_at": at}
        record = Record(topics.CONTROLS, 0, _json(said), f"{scope}:{name}".encode())
        return [Line(record, later_seconds)]

    def any_type(self) -> str:
        return self._random.choice(self._types)

    def plain(self, user: str, kind: str = "") -> dict[str, Any]:
        """Of any type, where none is named."""
        kind = kind or self.any_type()
        return {"user_id": user, "type": kind, "data": {"number": self._next()}}

    def _plain(self, kind: str) -> dict[str, Any]:
        return self.plain(self._random.choice(self._users), kind)

    def broadcast(self, broadcast: dict[str, Any]) -> list[Line]:
        return self._anywhere(topics.BROADCASTS_REQUESTED, _json(self.numbered(broadcast)))

    def _choose(self, enabled: bool) -> list[Line]:
        user = self._random.choice(self._users)
        if self._random.random() < 0.6:
            return self.wish(user, self._random.choice(self._channels), enabled=enabled)
        return self._prefer(user, {"types": {self._random.choice(self._types): enabled}})

    def _prefer(self, user: str, preferences: dict[str, Any]) -> list[Line]:
        return self.change(user, "preferences_updated", source="user", preferences=preferences)

    def _for(self, user: str, topic: str, said: dict[str, Any]) -> list[Line]:
        """In the user's partition, unless the producer hashes otherwise."""
        partition = ids.partition_of(user, PARTITIONS)
        if self._random.random() < self.misplaced_share:
            partition = self._random.randrange(PARTITIONS)
        return [Line(Record(topic, partition, _json(said), user.encode()))]

    def _anywhere(self, topic: str, value: bytes | None, *, headers: Headers = ()) -> list[Line]:
        partition = self._random.randrange(PARTITIONS)
        return [Line(Record(topic, partition, value, headers=headers))]

    def _next(self) -> str:
        self._number += 1
        return str(self._number)


def _json(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode()


SAYINGS: Mapping[Callable[[Speaker], list[Line]], int] = {
    Speaker.ask: 30, Speaker.ask_for_later: 2, Speaker.ask_what_goes_on: 2, Speaker.ask_again: 8,
    Speaker.contradict: 3, Speaker.blunder: 4,
    Speaker.announce: 3, Speaker.announce_again: 2, Speaker.announce_everywhere: 1,
    Speaker.hold_back: 1, Speaker.refuse: 5, Speaker.consent: 3,
    Speaker.cancel: 4, Speaker.pause_for_a_while: 2, Speaker.hand_over_phone: 4,
    Speaker.bring_file: 2, Speaker.move: 2,
}  # fmt: skip
"""How often each is said, one with the other."""
