"""Evidence made by hand: a small installation that did what it promised, to be spoilt."""

import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proof.checker.contents import hash_of
from proof.checker.evidence import (
    Accept,
    Asked,
    Blow,
    Broadcast,
    Cancellation,
    Change,
    Circumstances,
    Control,
    Data,
    Evidence,
    Known,
    Letter,
    Preferences,
    Receipt,
    Request,
    Rubbish,
    Said,
    Storm,
    Unsure,
)
from proof.checker.instants import text_of
from proof.checker.rules import Category, Kind, Rules

NOON_MS = 1_767_268_800_000
"""2026-01-01T12:00Z; people were introduced an hour before."""
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
DAY_SECONDS = 86_400
RULES = Rules(
    kinds={
        each.name: each
        for each in (
            Kind(
                "code",
                Category("security", mandatory=True, in_doubt="resend"),
                ("sms",),
                ("email",),
            ),
            Kind("order", Category("transactional", quiet_hours=True), ("email", "push"), ("sms",)),
            Kind("news", Category("social", daily_limit={"email": 2}), ("email", "in_app")),
            Kind(
                "digest",
                Category("patient", daily_limit={"email": 1}, over_limit="defer"),
                ("email",),
            ),
            Kind("offer", Category("marketing", legal_windows=True), ("sms",)),
        )
    },
    is_on={"marketing": {"sms": False}},
    per_user={"sms": (3, HOUR)},
    channel_of={"sendgrid": "email", "fcm": "push", "twilio": "sms"},
    rates={"twilio": (2, SECOND)},
)
PROVIDERS = {channel: provider for provider, channel in RULES.channel_of.items()}
_RANKS = {"queued": 1, "deferred": 1, "in_doubt": 2, "failed": 4, "sent": 5}


@dataclass
class Story:
    """Told in the order it happens; what it amounts to is in `evidence`."""

    evidence: Evidence = field(
        default_factory=lambda: Evidence(RULES, Circumstances(ended_ms=NOON_MS + HOUR))
    )
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)
    _calls: "itertools.count[int]" = field(default_factory=itertools.count)
    _offsets: "itertools.count[int]" = field(default_factory=itertools.count)
    accepted: dict[tuple[int, str], str] = field(default_factory=dict)
    """Delivery ids by intent and channel."""

    def introduce(
        self, user: str, *, zone: str = "UTC", at_ms: int = NOON_MS - HOUR, **said: str
    ) -> None:
        known: dict[str, Any] = {
            "email": f"{user}@example.org", "phone": f"+1{user}", "timezone": zone
        } | said  # fmt: skip
        self.say(user, "recipient_updated", at_ms=at_ms, source="producer", **known)
        self.say(user, "device_registered", at_ms=at_ms, device_id="phone", token=f"token-{user}")
        self.evidence.known = [Known(NOON_MS - MINUTE)]

    def say(
        self,
        user: str,
        change: str,
        *,
        at_ms: int,
        came_ms: int | None = None,
        source: str = "user",
        **said: Any,
    ) -> None:
        """It came in that instant, unless another is named."""
        what = Said(change, user, text_of(at_ms), source, **said)
        place = ("recipients.changed", 0, next(self._offsets))
        self.evidence.changes.append(Change(came_ms or at_ms, *place, what))

    def wish(
        self, user: str, channel: str, *, at_ms: int, source: str = "user", **wish: Any
    ) -> None:
        said = msgspec.convert({channel: wish}, Preferences)
        self.say(user, "preferences_updated", at_ms=at_ms, source=source, preferences=said)

    def ask(self, user: str, kind: str, *, at_ms: int = NOON_MS, **said: Any) -> int:
        number = next(self._numbers)
        asked = Asked(kind, user, **({"data": Data(str(number))} | said))
        place = ("notifications.requested", 0, next(self._offsets))
        self.evidence.requests.append(Request(number, at_ms, *place, asked))
        return number

    def announce(self, kind: str, *, at_ms: int = NOON_MS, partition: int = 0, **said: Any) -> int:
        number = next(self._numbers)
        place = ("broadcasts.requested", partition, next(self._offsets))
        asked = Asked(kind, **({"data": Data(str(number))} | said))
        self.evidence.broadcasts.append(Broadcast(number, at_ms, *place, asked))
        return number

    def tell(
        self, number: int, user: str, channel: str, status: str, reason: str = "",
        *, at_ms: int = NOON_MS, **said: Any,
    ) -> None:  # fmt: skip
        """A receipt about a delivery."""
        request = next(each for each in self.evidence.all_requests() if each.number == number)
        delivery_id = self.accepted.setdefault(
            (number, f"{user} {channel}"), str(uuid.UUID(int=next(self._ids)))
        )
        category = RULES.kinds[request.said.type].category.name
        what = {
            "receipt_id": f"r{next(self._ids)}", "user_id": user, "status": status,
            "reason": reason, "channel": channel, "type": request.said.type, "category": category,
            "delivery_id": delivery_id, "notification_id": f"n{number}-{user}",
            "is_final": status not in ("queued", "deferred", "sent"),
            "state_rank": _RANKS.get(status, 3), "occurred_at": text_of(at_ms),
            "metadata": {"intent": number},
        }  # fmt: skip
        self.evidence.receipts.append(msgspec.convert(what | said, Receipt))

    def refuse(self, number: int, user: str, status: str, reason: str = "") -> None:
        """A receipt about the request."""
        what = {
            "receipt_id": f"r{next(self._ids)}", "kind": "request", "user_id": user,
            "status": status, "reason": reason, "occurred_at": text_of(NOON_MS),
            "metadata": {"intent": number},
        }  # fmt: skip
        self.evidence.receipts.append(msgspec.convert(what, Receipt))

    def take(
        self, number: int, user: str, channel: str, *, at_ms: int = NOON_MS, **said: Any
    ) -> None:
        """A provider accepts it."""
        addresses = {"email": f"{user}@example.org", "push": f"token-{user}", "sms": f"+1{user}"}
        provider = PROVIDERS[channel]
        what: dict[str, Any] = {
            "at_ms": at_ms, "call": next(self._calls), "provider": provider, "line": provider,
            "delivery_id": self.accepted.get((number, f"{user} {channel}"), "unheard of"),
            "address": addresses[channel], "body_hash": hash_of(channel, str(number)),
        }  # fmt: skip
        self.evidence.accepts.append(Accept(**what | said))

    def send(self, number: int, user: str, channel: str, *, at_ms: int = NOON_MS) -> None:
        """As it should be: queued, accepted, sent."""
        self.tell(number, user, channel, "queued", at_ms=at_ms)
        if channel != "in_app":
            self.take(number, user, channel, at_ms=at_ms + 50)
        device = "phone" if channel == "push" else ""
        self.tell(number, user, channel, "sent", at_ms=at_ms + 90, device_id=device)

    def deliver(self, user: str, kind: str, *, at_ms: int = NOON_MS, **said: Any) -> int:
        """Asked for and sent by all its channels."""
        number = self.ask(user, kind, at_ms=at_ms, **said)
        for channel in RULES.kinds[kind].channels:
            self.send(number, user, channel, at_ms=at_ms + 20)
        return number

    def strike(self, role: str, *, at_ms: int, what: str = "kill") -> None:
        self.evidence.circumstances.blows.append(Blow(at_ms, role, what))

    def storm(self, channel: str, *effects: str, until_ms: int = NOON_MS + HOUR) -> None:
        span = (NOON_MS - HOUR, until_ms)
        self.evidence.circumstances.storms.append(Storm(channel, *span, effects))

    def leave_unacknowledged(self) -> None:
        """What was asked for until now."""
        for each in self.evidence.requests:
            self.evidence.unsure.append(Unsure(each.number, each.said.user_id))
        self.evidence.requests.clear()

    def call_off(self, user: str, key: str, *, at_ms: int) -> None:
        self.evidence.cancellations.append(Cancellation(at_ms, key, user))

    def control(self, action: str, scope: str, name: str, *, at_ms: int) -> None:
        self.evidence.controls.append(Control(at_ms, action, scope, name))

    def bury(self, number: int, user: str, channel: str, cause: str) -> None:
        """A dead letter of a delivery, as a sender would have written it."""
        delivery_id = uuid.UUID(self.accepted[number, f"{user} {channel}"]).bytes
        target = (user, bytes(16), delivery_id, "address")
        value = msgspec.msgpack.encode((channel, "normal", [], [target], 0))
        letter = Letter("deliveries", f"deliveries.{channel}.normal", 0, -1, cause, value=value)
        self.evidence.letters.append(letter)

    def blunder(self, *, buried: int = 1) -> None:
        """Rubbish, and so many dead letters of it."""
        place = ("notifications.requested", 0, next(self._offsets))
        self.evidence.rubbish.append(Rubbish(NOON_MS, *place))
        self.evidence.letters += [Letter("record", *place, "bad_json")] * buried
