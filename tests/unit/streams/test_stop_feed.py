"""Each thing that a tail can say, and the delivery that it stops."""

import json
from typing import Any

import pytest

from policies.rules import Category, NotificationType, Rules
from policies.stops import GO, Park, Stop, StopList, StopVerdict
from schemas import ids, topics
from schemas.delivery import Body, Channel, Target
from schemas.kafka import InboundRecord
from schemas.recipient_events import (
    DerivedChange,
    DeviceLost,
    HolderBarred,
    HolderUnbarred,
    ImportedOptOut,
    encode_derived,
)
from streams.stop_feed import MISPLACED_MS, StopFeed

KEY = b"secret"
RELEASED_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z
SAID_MS = RELEASED_MS + 5_000
SAID_AT = "2026-03-01T12:00:05Z"
RULES = Rules({"news": NotificationType("news", Category("news"), ("push", "email"))})
NOTIFICATION = b"\x01" * 16
BROADCAST = b"\x02" * 16
PARTITIONS = 2
HOME = ids.partition_of("ann", PARTITIONS)
MAIL, TOKEN = "ann@example.org", "token-1"


def hash_of(channel: Channel) -> bytes:
    return ids.address_hash(KEY, channel, TOKEN if channel == "push" else MAIL)


class Ear:
    """A sender's stops and what feeds them."""

    def __init__(self) -> None:
        self.stops = StopList(RULES)
        self._feed = StopFeed(self.stops, address_key=KEY, partitions=PARTITIONS)

    def hear(
        self, topic: str, value: bytes | None, *, key: bytes | None = None, partition: int = HOME
    ) -> None:
        self._feed(InboundRecord(topic, partition, 0, SAID_MS, key, value))

    def hear_change(self, change: str, *, partition: int = HOME, **said: Any) -> None:
        told = {"change": change, "user_id": "ann", "occurred_at": SAID_AT, **said}
        value = json.dumps({"source": "user"} | told).encode()
        self.hear(topics.RECIPIENTS_CHANGED, value, partition=partition)

    def check(self, channel: Channel, *, released_ms: int = RELEASED_MS) -> StopVerdict:
        """Of a delivery to Ann; by default it was queued before any of it was said."""
        target = Target(
            "ann", NOTIFICATION, b"\x03" * 16, TOKEN if channel == "push" else MAIL,
            hash_of(channel), device_id="d1" if channel == "push" else "",
        )  # fmt: skip
        now_ms = max(released_ms, SAID_MS) + 1_000
        body = Body("news", "news", {}, now_ms + 3_600_000, broadcast_id=BROADCAST)
        return self.stops.check(
            target, body, channel, released_ms=released_ms, now_ms=now_ms, provider="p"
        )


def reason(verdict: StopVerdict) -> str:
    return verdict.reason if isinstance(verdict, Stop) else ""


@pytest.mark.parametrize(
    ("change", "said", "channel", "expected"),
    [
        ("preferences_updated", {"preferences": {"email": {"enabled": False}}}, "email",
         "opted_out_channel"),
        ("preferences_updated", {"preferences": {"email": {"enabled": False}}}, "push", ""),
        ("preferences_updated", {"preferences": {"types": {"news": False}}}, "push",
         "opted_out_type"),
        ("preferences_updated", {"preferences": {"email": {"quiet_hours": "23:00-07:00"}}}, "email",
         ""),
        ("recipient_updated", {"email": "new@example.org"}, "email", "address_gone"),
        ("recipient_updated", {"email": None}, "email", "address_gone"),
        ("recipient_updated", {"email": MAIL}, "email", ""),
        ("recipient_updated", {"name": "Ann"}, "email", ""),
        ("recipient_deleted", {}, "email", "address_gone"),
        ("device_removed", {"device_id": "d1"}, "push", "address_gone"),
        ("device_removed", {"device_id": "d2"}, "push", ""),
        ("address_suppressed", {"channel": "email", "reason": "complaint"}, "email",
         "suppressed_address"),
        ("audience_left", {"audience": "news"}, "email", ""),
    ],
)  # fmt: skip
def test_a_change_of_a_recipient_stops_what_it_speaks_of(
    change: str, said: dict[str, Any], channel: Channel, expected: str
) -> None:
    ear = Ear()

    ear.hear_change(change, **said)

    assert reason(ear.check(channel)) == expected


@pytest.mark.parametrize(
    ("partition", "minutes", "expected"),
    [
        (HOME, 1, ""),
        (1 - HOME, 1, "address_gone"),
        (1 - HOME, 59, "address_gone"),
        (1 - HOME, 61, ""),
    ],
)
@pytest.mark.parametrize(
    ("change", "said"),
    [("recipient_updated", {"email": "new@example.org"}), ("recipient_deleted", {})],
)
def test_a_change_in_a_wrong_partition_counts_though_it_was_decided_later(
    partition: int, minutes: int, expected: str, change: str, said: dict[str, Any]
) -> None:
    ear = Ear()

    ear.hear_change(change, partition=partition, **said)

    decided_ms = SAID_MS + minutes * 60_000
    assert reason(ear.check("email", released_ms=decided_ms)) == expected
    assert reason(ear.check("email", released_ms=SAID_MS + MISPLACED_MS + 60_000)) == ""


def test_a_release_lifts_a_suppression() -> None:
    ear = Ear()
    ear.hear_change("address_suppressed", channel="email", reason="complaint")

    ear.hear_change("address_released", channel="email")

    assert ear.check("email") is GO


def test_a_device_registered_again_lifts_its_removal() -> None:
    ear = Ear()
    ear.hear_change("device_removed", device_id="d1")

    ear.hear_change(
        "device_registered", occurred_at="2026-03-01T12:00:06Z",
        device_id="d1", token=TOKEN, platform="ios",
    )  # fmt: skip

    assert ear.check("push") is GO


@pytest.mark.parametrize(
    ("fact", "channel", "expected"),
    [
        (DeviceLost("ann", SAID_MS, "d1", hash_of("push"), "taken_over"), "push", "address_gone"),
        (ImportedOptOut("ann", SAID_MS, channel="email"), "email", "opted_out_channel"),
        (ImportedOptOut("ann", SAID_MS, type="news"), "push", "opted_out_type"),
        (HolderBarred("bob", SAID_MS, "email", hash_of("email"), "stop"), "email",
         "suppressed_address"),
    ],
)  # fmt: skip
def test_a_derived_fact_stops_what_it_speaks_of(
    fact: DerivedChange, channel: Channel, expected: str
) -> None:
    ear = Ear()

    ear.hear(topics.RECIPIENTS_DERIVED, encode_derived([fact]))

    assert reason(ear.check(channel)) == expected


def test_of_an_import_all_that_one_record_says_is_heard() -> None:
    ear = Ear()
    others = [ImportedOptOut(f"user-{n}", SAID_MS - n % 2, type="news") for n in range(100)]
    lost = DeviceLost("ann", SAID_MS, "d1", hash_of("push"), "taken_over")
    of_ann = [ImportedOptOut("ann", SAID_MS, type="other"), ImportedOptOut("ann", SAID_MS, "email")]

    ear.hear(topics.RECIPIENTS_DERIVED, encode_derived([*others, of_ann[0], lost, of_ann[1]]))

    assert reason(ear.check("email")) == "opted_out_channel"
    assert reason(ear.check("push")) == "address_gone"
    assert len(ear.stops) == 103


def test_an_address_is_free_again_when_its_bar_is_lifted() -> None:
    ear = Ear()
    barred = HolderBarred("ann", SAID_MS, "email", hash_of("email"), "stop")
    lifted = HolderUnbarred("ann", SAID_MS + 1, "email", hash_of("email"))

    ear.hear(topics.RECIPIENTS_DERIVED, encode_derived([barred, lifted]))

    assert ear.check("email") is GO


@pytest.mark.parametrize(
    "said",
    [{"notification_id": ids.to_text(NOTIFICATION)}, {"broadcast_id": ids.to_text(BROADCAST)}],
)
def test_a_cancellation_stops_a_notification_or_a_whole_broadcast(said: dict[str, str]) -> None:
    ear = Ear()

    ear.hear(topics.NOTIFICATIONS_CANCELLED, json.dumps(said).encode())

    assert reason(ear.check("email")) == "cancelled"


@pytest.mark.parametrize(
    ("scope", "name"), [("channel", "email"), ("type", "news"), ("provider", "p")]
)
def test_a_pause_parks_until_it_is_resumed_or_forgotten(scope: str, name: str) -> None:
    def control(action: str) -> bytes:
        said = {"action": action, "scope": scope, "name": name, "occurred_at": SAID_AT}
        return json.dumps(said).encode()

    for end in (control("resume"), None):
        ear = Ear()
        ear.hear(topics.CONTROLS, control("pause"))
        assert ear.check("email") == Park(f"{scope}:{name}")

        ear.hear(topics.CONTROLS, end, key=f"{scope}:{name}".encode())
        assert ear.check("email") is GO


@pytest.mark.parametrize(
    "topic",
    [
        topics.RECIPIENTS_CHANGED,
        topics.RECIPIENTS_DERIVED,
        topics.NOTIFICATIONS_CANCELLED,
        topics.CONTROLS,
    ],
)
@pytest.mark.parametrize("value", [b"rubbish", b"", None])
def test_what_cannot_be_read_stops_nothing_and_nobody(topic: str, value: bytes | None) -> None:
    ear = Ear()

    ear.hear(topic, value, key=b"\xff rubbish")

    assert ear.check("email") is GO
