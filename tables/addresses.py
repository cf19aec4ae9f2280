"""What belongs to an address rather than a user, under the address's keyed hash.

It lives in the partition of that hash and survives the deletion of every user who had it.
"""

from collections.abc import Sequence

import msgspec

from schemas.profile import Suppression
from tables.expiry import HEAD_BYTES, with_expiry
from tables.state import Kind, Row, State

PREFIX = b"a"
FORMER_PREFIX = b"h"
REMEMBERED_MS = 8 * 86_400_000
"""Longer than a delivery may be queued for a token that its user has given up since."""


class Holder(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Whose address it is, since when; `offset` orders what they said in the same instant."""

    user_id: str
    occurred_ms: int
    offset: int
    device_id: str = ""


class Address(msgspec.Struct, array_like=True, gc=False):
    """One device token (one holder at a time), mailbox or number (any number of holders)."""

    holders: list[Holder] = []
    suppression: Suppression | None = None
    released_ms: int = 0
    """The newest release; a suppression that is older than it is ignored."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Address).decode
_decode_holder = msgspec.msgpack.Decoder(Holder).decode


def put(address_hash: bytes, address: Address) -> Row:
    """An address that nobody holds and nothing bars needs no row."""
    is_needed = address.holders or address.suppression is not None or address.released_ms
    value = _encode(address) if is_needed else None
    return Row(Kind.DURABLE, PREFIX + address_hash, value)


def get_many(state: State, address_hashes: Sequence[bytes]) -> list[Address]:
    rows = state.get_many(Kind.DURABLE, [PREFIX + each for each in address_hashes])
    return [Address() if row is None else _decode(row) for row in rows]


def put_former(address_hash: bytes, former: Holder | None, now_ms: int) -> Row:
    """Who gave up a device token that nobody has claimed since."""
    value = None if former is None else with_expiry(now_ms + REMEMBERED_MS, _encode(former))
    return Row(Kind.TRANSIENT, FORMER_PREFIX + address_hash, value)


def former_holders(state: State, address_hashes: Sequence[bytes]) -> dict[bytes, Holder]:
    rows = state.get_many(Kind.TRANSIENT, [FORMER_PREFIX + each for each in address_hashes])
    return {
        each: _decode_holder(row[HEAD_BYTES:])
        for each, row in zip(address_hashes, rows, strict=True)
        if row is not None
    }
