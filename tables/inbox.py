"""Each user's in-app messages: a ring, so that a full inbox costs no more than an empty one.

A message past its expiry is not shown; its place is taken again when the ring comes round.
"""

import struct
from collections.abc import Mapping, Sequence

import msgspec

from tables.state import Kind, Row, State

PREFIX = b"i"
CAPACITY = 200
"""Messages kept for a user; more than anybody scrolls through."""
_END = b"\x00"  # user ids are visible characters, so no id is the beginning of another
_COUNT = struct.Struct(">Q")
_SLOT = struct.Struct(">H")


class Message(msgspec.Struct, array_like=True, frozen=True):
    """What a person sees in the application."""

    notification_id: bytes
    delivery_id: bytes
    type: str
    title: str
    text: str
    data: Mapping[str, str]
    received_ms: int
    expires_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, Message]).decode


def counts(state: State, user_ids: Sequence[str]) -> list[int]:
    """How many messages each of these users was ever given."""
    rows = state.get_many(Kind.DURABLE, [_head(user_id) for user_id in user_ids])
    return [0 if row is None else _COUNT.unpack(row)[0] for row in rows]


def add(user_id: str, count: int, messages: Sequence[Message]) -> list[Row]:
    """Rows for these further messages of a user who was given `count` before."""
    head, total = _head(user_id), count + len(messages)
    rows = [Row(Kind.DURABLE, head, _COUNT.pack(total))]
    for number, message in enumerate(messages, count):
        key = head + _SLOT.pack(number % CAPACITY)
        rows.append(Row(Kind.DURABLE, key, _encode((number, message))))
    return rows


def read(state: State, user_id: str, now_ms: int) -> list[Message]:
    """What the user has to see, newest first."""
    head = _head(user_id)
    rows = state.scan(Kind.DURABLE, head + _SLOT.pack(0), head + _SLOT.pack(CAPACITY), CAPACITY)
    numbered = sorted((_decode(value) for _, value in rows), key=lambda each: -each[0])
    return [message for _, message in numbered if message.expires_ms > now_ms]


def _head(user_id: str) -> bytes:
    return PREFIX + user_id.encode() + _END
