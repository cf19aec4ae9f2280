"""Records that nobody thought of: valid ones of each public topic, damaged by a seeded hand.

About half of what comes out is still a record; the other half fails in every way that a JSON
text, a field, a header or a key can fail.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from schemas import topics
from schemas.kafka import Headers, InboundRecord

USERS = 40
_RECORDS = Path(__file__).parent / "contract/records/1.0"

_HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**400,
    0.1, -0.0, 1e308, float("nan"), float("inf"),
    "", " ", "\0", "\n", "\r\nBcc: eve@example.org", "0", "null", "{}",
    "a" * 129, "a" * 300, "x" * 5_000, "x" * 50_000,
    "\u202e\u2066", "\ufeff", "\U0001f469\u200d\U0001f4bb" * 40, "e\u0301" * 100,
    "<script>alert(1)</script>", "{{ data }}", "{% for x in y %}", "%s%n", "../../etc/passwd",
    "1971-01-01T00:00:00Z", "9998-12-31T23:59:59Z", "9999-12-31T23:59:59.999999+14:00",
    "2026-03-29T02:30:00+01:00", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z",
    "2026-03-01T12:00:00", "ann@example.com", "ann@" + "a" * 250, "\u00fc@\u00fc.example",
    "+12025550123", "+999999999999", "Europe/Berlin", "Pacific/Kiritimati", "Etc/GMT+12",
    "23:00-07:00", "00:00-23:59", "00:00-00:00", "pt-BR",
    "push", "email", "sms", "in_app", "critical", "pause", "all", "marketing", "promotion",
    [], [None], ["push"], ["push", "push"], ["push", "email", "sms", "in_app"], [[[[]]]],
    ["ann"] * 3, {}, {"": ""}, {"a": None}, {"\0": 1}, {"a": {"b": {"c": [1, {"d": 2}]}}},
    {"enabled": "yes"}, {str(number): number for number in range(500)},
    [[number] for number in range(3_000)],
)  # fmt: skip

_ORDER = {"order_id": "7", "total": "12 EUR"}
_DATA: dict[str, dict[str, Any]] = {
    "order_confirmed": _ORDER,
    "login_code": {"code": "123456"},
    "friend_joined": {"friend": "Noor"},
    "promotion": {"headline": "Spring", "offer": "A tenth off", "link": "https://example.org/a"},
    "security_alert": {"device": "phone", "place": "Oslo", "at": "noon", "time": "12:00"},
}
_HEADER_NAMES = (
    topics.SCHEMA_VERSION_HEADER, topics.TRACEPARENT_HEADER, *topics.ORIGIN_HEADERS,
    "ce_id", "ce_source", "", "\U0001f600", "x" * 3_000,
)  # fmt: skip
_HEADER_VALUES = (
    b"", b"1.0", b"1.9", b"2.0", b"1", b"\xff", b"notifications.requested", b"-1", b"9" * 20,
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"x" * 2_000, b"\0",
)  # fmt: skip

Seed = random.Random


def records(topic: str, count: int, *, seed: int, partitions: int) -> Iterator[InboundRecord]:
    """So many, always the same for a seed; offsets and times are those of a first append."""
    chance = random.Random(f"{topic}:{seed}")
    make = _MAKERS.get(topic, _request)
    for _ in range(count):
        said = make(chance)
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            _damage(said, chance)
        value: bytes | None = json.dumps(said).encode()
        if chance.random() < 0.15:
            value = _damaged_bytes(value or b"", chance)
        if chance.random() < 0.01:
            value = None
        key = _key(topic, said, chance)
        if value is None and key is None:
            key = b"k"
        partition = chance.randrange(partitions)
        yield InboundRecord(topic, partition, -1, 0, key, value, tuple(_headers(chance)))


def _user(chance: Seed) -> str:
    return f"user-{chance.randrange(USERS)}"


def _request(chance: Seed) -> dict[str, Any]:
    type_name = chance.choice(sorted(_DATA))
    said: dict[str, Any] = {
        "user_id": _user(chance), "type": type_name, "data": dict(_DATA[type_name]),
    }  # fmt: skip
    more: dict[str, Callable[[], Any]] = {
        "idempotency_key": lambda: f"key-{chance.randrange(5)}",
        "ttl_seconds": lambda: chance.choice((1, 60, 365 * 86_400)),
        "expires_at": lambda: "2030-01-01T00:00:00Z",
        "send_at": lambda: chance.choice(("2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z")),
        "requested_at": lambda: "2026-11-24T12:00:00Z",
        "priority": lambda: chance.choice(("critical", "normal", "bulk")),
        "tenant": lambda: "shop",
        "collapse_key": lambda: "c",
        "metadata": lambda: {"n": chance.randrange(9)},
        "channels": lambda: chance.sample(("push", "email", "sms", "in_app"), 2),
        "recipient": lambda: {"email": "new@example.org", "phone": "+12025550123"},
    }
    for name in chance.sample(sorted(more), chance.randrange(4)):
        said[name] = more[name]()
    return said


def _announcement(chance: Seed) -> dict[str, Any]:
    said = _request(chance)
    for name in ("user_id", "recipient", "send_at"):
        said.pop(name, None)
    if chance.random() < 0.5:
        return said | {"audience": "fans"}
    return said | {"user_ids": [f"user-{number}" for number in range(chance.randrange(1, USERS))]}


def _from_contract(name: str) -> Callable[[Seed], dict[str, Any]]:
    kept = [json.loads(line) for line in (_RECORDS / f"{name}.jsonl").read_text().splitlines()]

    def make(chance: Seed) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(json.dumps(chance.choice(kept)))
        if "user_id" in said:
            said["user_id"] = _user(chance)
        return said

    return make


_MAKERS: dict[str, Callable[[Seed], dict[str, Any]]] = {
    topics.BROADCASTS_REQUESTED: _announcement,
    topics.RECIPIENTS_CHANGED: _from_contract("recipient-change"),
    topics.NOTIFICATIONS_CANCELLED: _from_contract("cancellation"),
    topics.CONTROLS: _from_contract("control"),
}


def _damage(said: dict[str, Any], chance: Seed) -> None:
    """One field, here or deeper, is taken away, renamed, or holds something else."""
    if not said:
        said["a"] = chance.choice(_HOSTILE)
        return
    name = chance.choice(sorted(said))
    inside = said[name]
    if isinstance(inside, dict) and inside and chance.random() < 0.7:
        _damage(inside, chance)
        return
    match chance.randrange(4):
        case 0:
            del said[name]
        case 1:
            said[chance.choice(("unknown", "", name.upper(), f"{name} "))] = inside
        case _:
            said[name] = chance.choice(_HOSTILE)


def _damaged_bytes(value: bytes, chance: Seed) -> bytes:
    at = chance.randrange(len(value) + 1)
    to = min(len(value), at + chance.randrange(1, 12))
    match chance.randrange(6):
        case 0:
            return value[:at]
        case 1:
            return value[:at] + chance.randbytes(chance.randrange(1, 5)) + value[to:]
        case 2:
            return value[:at] + value[to:]
        case 3:
            return value[:to] + value[at:]
        case 4:
            return value[:at] + b"[" * chance.choice((1, 20, 300, 3000)) + value[at:]
        case _:
            return (
                value[:at]
                + chance.choice((b"\\ud800", b"\\u0000", b"\xed\xa0\x80", b'"', b"1e999"))
                + value[at:]
            )


def _headers(chance: Seed) -> Headers:
    if chance.random() < 0.8:
        return ()
    return tuple(
        (chance.choice(_HEADER_NAMES), chance.choice(_HEADER_VALUES))
        for _ in range(chance.randrange(1, 5))
    )


def _key(topic: str, said: dict[str, Any], chance: Seed) -> bytes | None:
    if topic == topics.CONTROLS:  # compacted: the broker takes none without a key
        right = f"{said.get('scope')}:{said.get('name')}".encode()
        return right if chance.random() < 0.7 else chance.choice((b"", b"\xff", b"channel:sms"))
    return chance.choice((None, b"", b"\xff\0", str(said.get("user_id")).encode()))
