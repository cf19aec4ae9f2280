"""What a lookup keeps, one store a partition: keys begin with the letter of their table.

    d notification delivery         how the delivery stands
    r notification|broadcast receipt  what else was said of it: a repeat, a refusal, an opening
    u user NUL instant notification   what a user was told, newest first
    b broadcast channel NUL status    how many of its deliveries stand so

Values begin with the instant they may be forgotten, when the receipts are.
"""

import struct
from typing import NamedTuple, Protocol

import msgspec

from policies.receipt_merge import DeliveryState
from schemas.catalogue import PUBLIC_TOPICS
from schemas.topics import RECEIPTS
from tables.expiry import HEAD_BYTES, with_expiry
from tables.packing import RowList

DELIVERY, REMARK, HISTORY, COUNT = b"d", b"r", b"u", b"b"
KEPT_MS = 86_400_000 * next(
    each.retention_days or 0 for each in PUBLIC_TOPICS if each.name == RECEIPTS
)

_AFTER = b"\xff" * 64
_MOST = 100_000
"""Rows of one id that are shown: far more than anything but an attack has."""
_INSTANT = struct.Struct(">Q")
_LAST_INSTANT = (1 << 64) - 1
_NUMBER = struct.Struct(">q")
_ID_BYTES = 16


class RowStore(Protocol):
    """A `LocalStore`, or something like it."""

    def get_many(self, keys: list[bytes]) -> list[bytes | None]: ...

    def scan(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]: ...

    def apply(self, rows: RowList, offset: int) -> object: ...


class Delivery(msgspec.Struct, array_like=True, frozen=True):
    """A delivery, and how it stands."""

    user_id: str
    broadcast_id: bytes
    channel: str
    type: str
    state: DeliveryState


class Remark(msgspec.Struct, array_like=True, frozen=True):
    """A receipt that changes no delivery's state."""

    kind: str
    status: str
    reason: str
    occurred_at: str
    user_id: str
    channel: str
    type: str


class Told(NamedTuple):
    """An entry of a user's history."""

    instant_ms: int
    notification_id: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_delivery = msgspec.msgpack.Decoder(Delivery).decode
_decode_remark = msgspec.msgpack.Decoder(Remark).decode


def delivery_key(notification_id: bytes, delivery_id: bytes) -> bytes:
    return DELIVERY + notification_id + delivery_id


def encode_delivery(delivery: Delivery, expires_ms: int) -> bytes:
    return with_expiry(expires_ms, _encode(delivery))


def decode_delivery(value: bytes) -> Delivery:
    return _decode_delivery(value[HEAD_BYTES:])


def remark_row(
    about: bytes, receipt_id: bytes, remark: Remark, expires_ms: int
) -> tuple[bytes, bytes]:
    return REMARK + about + receipt_id, with_expiry(expires_ms, _encode(remark))


def history_row(user_id: str, told: Told, expires_ms: int) -> tuple[bytes, bytes]:
    newest_first = _INSTANT.pack(_LAST_INSTANT - told.instant_ms)
    return _of_user(user_id) + newest_first + told.notification_id, with_expiry(expires_ms, b"")


def count_key(broadcast_id: bytes, channel: str, status: str) -> bytes:
    return COUNT + broadcast_id + f"{channel}\0{status}".encode()


def encode_count(count: int, expires_ms: int) -> bytes:
    return with_expiry(expires_ms, _NUMBER.pack(count))


def decode_count(value: bytes) -> int:
    count: int = _NUMBER.unpack_from(value, HEAD_BYTES)[0]
    return count


def deliveries_of(store: RowStore, notification_id: bytes) -> dict[bytes, Delivery]:
    """By delivery id; several of a channel when its key was used again after the window."""
    prefix = DELIVERY + notification_id
    return {key[len(prefix) :]: decode_delivery(value) for key, value in _all(store, prefix)}


def remarks_of(store: RowStore, about: bytes) -> list[Remark]:
    """Of a notification or broadcast, by when they happened."""
    found = [_decode_remark(value[HEAD_BYTES:]) for _, value in _all(store, REMARK + about)]
    return sorted(found, key=lambda remark: remark.occurred_at)


def counts_of(store: RowStore, broadcast_id: bytes) -> dict[tuple[str, str], int]:
    """Deliveries of a broadcast by channel and status."""
    prefix = COUNT + broadcast_id
    counts: dict[tuple[str, str], int] = {}
    for key, value in _all(store, prefix):
        channel, _, status = key[len(prefix) :].decode().partition("\0")
        if count := decode_count(value):
            counts[channel, status] = count
    return counts


def history_of(store: RowStore, user_id: str, limit: int) -> list[Told]:
    """What the user was told, newest first; a fallback to another channel is another entry."""
    prefix = _of_user(user_id)
    told = []
    for key, _ in store.scan(prefix, prefix + _AFTER, limit):
        (newest_first,) = _INSTANT.unpack_from(key, len(prefix))
        told.append(Told(_LAST_INSTANT - newest_first, key[-_ID_BYTES:]))
    return told


def _of_user(user_id: str) -> bytes:
    return HISTORY + user_id.encode() + b"\0"  # user ids are visible characters


def _all(store: RowStore, prefix: bytes) -> list[tuple[bytes, bytes]]:
    return store.scan(prefix, prefix + _AFTER, _MOST)
