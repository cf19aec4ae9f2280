"""The people of one load: each of them different in a way that some policy cares about."""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from schemas.instants import rfc3339
from schemas.recipient_events import (
    ImportedDevice,
    ImportedRecipient,
    ImportedWish,
)

ZONES = (
    "UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Auckland",
    "America/Los_Angeles", "Asia/Tokyo", "Pacific/Chatham",
)  # fmt: skip
DEAD = "fail-unregistered"
"""A token that begins so is one of an app that was removed."""
BAD_MAILBOX = "fail-400"
"""A mailbox that begins so spoils every request that it is part of."""
TRAITS = (
    "plain", "asleep", "sleeps later", "no email", "no news", "takes offers", "few emails",
    "dead phone", "no number", "no device", "two devices", "barred", "plain", "plain", "imported",
    "bad mailbox",
)  # fmt: skip


class Person:
    """Somebody who is introduced, and then told things."""

    def __init__(
        self, number: int, first: int, randomness: random.Random, *, may_be_bad: bool
    ) -> None:
        self.user_id = f"r{first}-{number}"
        trait = TRAITS[number % len(TRAITS)]
        self.trait = "plain" if trait == "bad mailbox" and not may_be_bad else trait
        self.zone = ZONES[(number + number // len(TRAITS)) % len(ZONES)]  # all traits in all zones
        name = f"{BAD_MAILBOX}-{self.user_id}" if self.trait == "bad mailbox" else self.user_id
        self.email = f"{name}@example.org"
        self.phone = "" if self.trait == "no number" else f"+1{(first + number) % 10**10:010}"
        self.is_reader = randomness.random() < 0.7
        self.tokens = self._tokens()

    def _tokens(self) -> list[str]:
        match self.trait:
            case "no device":
                return []
            case "two devices":
                return [f"token-{self.user_id}-{number}" for number in range(2)]
            case "dead phone":
                return [f"{DEAD}:{self.user_id}"]
        return [f"token-{self.user_id}"]

    def introduction(self, audience: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What is said of them first: kind of change, and its members."""
        known = {"email": self.email, "timezone": self.zone}
        yield "recipient_updated", known | ({"phone": self.phone} if self.phone else {})
        for place, token in enumerate(self.tokens):
            device = {"device_id": f"d{place}", "token": token, "platform": "android"}
            yield "device_registered", device
        if self.is_reader:
            yield "audience_joined", {"audience": audience}
        if self.trait == "barred":
            yield "address_suppressed", {"channel": "email", "reason": "bounced"}
        wishes = self._wishes()
        if wishes:
            yield "preferences_updated", {"preferences": wishes}

    def line(self, audience: str) -> ImportedRecipient:
        """The same of somebody who is imported."""
        return ImportedRecipient(
            self.user_id,
            time.time_ns() // 1_000_000,
            email=self.email,
            phone=self.phone,
            timezone=self.zone,
            wishes=(ImportedWish("in_app", enabled=False),),
            audiences=(audience,) if self.is_reader else (),
            devices=tuple(ImportedDevice("d0", token, "android") for token in self.tokens),
        )

    def _wishes(self) -> dict[str, Any]:
        match self.trait:
            case "asleep":
                return {"email": {"quiet_hours": self.around(-2, 3)}}
            case "sleeps later":
                return {"email": {"quiet_hours": self.around(6, 9)}}
            case "no email":
                return {"email": {"enabled": False}}
            case "no news":
                return {"types": {"news": False}}
            case "takes offers":
                return {"sms": {"enabled": True}}
            case "few emails":
                return {"email": {"daily_limit": 2}}
        return {}

    def around(self, from_hours: int, until_hours: int) -> str:
        """A span of the day about now, where they are; no round ends or begins inside of it."""
        now = datetime.now(UTC).astimezone(ZoneInfo(self.zone))
        ends = (now + timedelta(hours=each) for each in (from_hours, until_hours))
        return "-".join(f"{each:%H:%M}" for each in ends)


class Crowd:
    def __init__(
        self, *, count: int, first: int, randomness: random.Random, bad_mailboxes_among: int
    ) -> None:
        """`bad_mailboxes_among`: as of `LoadPlan`."""
        self.audience = f"readers-{first}"
        self.people = [
            Person(number, first, randomness, may_be_bad=number < bad_mailboxes_among)
            for number in range(count)
        ]

    def imported(self) -> list[ImportedRecipient]:
        return [each.line(self.audience) for each in self.people if each.trait == "imported"]

    def introductions(self) -> Iterator[dict[str, Any]]:
        """Changes as they are written to `recipients.changed`."""
        for person in self.people:
            if person.trait != "imported":
                for change, said in person.introduction(self.audience):
                    yield change_of(person.user_id, change, **said)


def change_of(user_id: str, change: str, *, source: str = "", **said: Any) -> dict[str, Any]:
    """A person speaks for their own wishes, a producer for the rest."""
    own = change in ("preferences_updated", "audience_joined")
    return {
        "change": change,
        "user_id": user_id,
        "source": source or ("user" if own else "producer"),
        "occurred_at": rfc3339(time.time_ns() // 1_000_000),
        **said,
    }
