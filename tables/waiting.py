"""The decide side's schedule: deliveries that wait for an instant, and bodies to be forgotten."""

import msgspec

from schemas.delivery import Body, Channel, Lane
from tables.schedule import DueTable
from tables.state import Row

SCHEDULE = DueTable(b"s")


class Waiter(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Whose delivery waits."""

    user_id: str
    notification_id: bytes


class Waiting(msgspec.Struct, array_like=True, frozen=True, tag="waiting"):
    """Recipients of one body who wait for the same instant: one row, however many they are."""

    lane: Lane
    channel: Channel
    waiters: list[Waiter]
    is_counted: bool
    """Decided and counted before: only what may have changed is looked at again."""
    body: Body | None = None
    body_id: bytes = b""
    """Where the body is kept instead, when it is a broadcast's."""
    until_ms: int = 0
    """What they wait for; a row that comes due before it asks only whether they were called off."""


class ForgetBody(msgspec.Struct, array_like=True, frozen=True, tag="forget_body"):
    """Nothing of its broadcast can be alive any more."""

    body_id: bytes


Due = Waiting | ForgetBody

_encode = msgspec.msgpack.Encoder().encode
decode_due = msgspec.msgpack.Decoder(Due).decode


def put(due_ms: int, row_id: bytes, due: Due) -> Row:
    return SCHEDULE.put(due_ms, row_id, _encode(due))
