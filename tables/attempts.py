"""The attempt ledger: what was tried for each unit of work, and what came of it.

A unit is a slice with all its targets as members, or one delivery (for push, on one device)
with itself as the only member. Its row says which provider call it speaks of and how far each
member has come. An intent without an outcome, found where nobody works on it, is in doubt.

A row's expiry is not judged when it is read: a row that is still there is better evidence than
none, and a delivery as old as a row's retention is never handed to a provider.
"""

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

from tables.expiry import HEAD_BYTES, with_expiry
from tables.state import Kind, Row, State

PREFIX = b"a"
_ROUND = struct.Struct(">H")
_CALL = struct.Struct(">I")
_STATES_AT = HEAD_BYTES + _CALL.size
_MOST_DEVICES = 256


class Stand(enum.IntEnum):
    """How far one member has come, by the call of its row."""

    NOTHING = 0
    INTENT = 1
    ACCEPTED = 2
    SCHEDULED = 3
    """To be called again: a row of the schedule or of the parked ones has it now."""
    STOPPED = 4
    """Settled without a call: opted out, cancelled, expired."""
    GONE = 5
    """Settled without a call because its device or address is not the recipient's any more."""
    FAILED = 6
    """Failed for good, given back for fallback or kept as a dead letter."""
    IN_DOUBT = 7
    """Nobody can know whether it was sent, and it is not tried again."""


class Attempt(NamedTuple):
    """One ledger row; `stands` has a byte for each member, see `Stand`."""

    call: int
    stands: bytes


def key_of(unit_id: bytes, round_: int, device_id: str = "") -> bytes:
    return PREFIX + unit_id + _ROUND.pack(round_) + device_id.encode()


def put(key: bytes, call: int, stands: bytes, expires_ms: int) -> Row:
    return Row(Kind.TRANSIENT, key, with_expiry(expires_ms, _CALL.pack(call) + stands))


def get_many(state: State, keys: Sequence[bytes]) -> list[Attempt | None]:
    rows = state.get_many(Kind.TRANSIENT, keys)
    return [None if row is None else _decode(row) for row in rows]


def lost_devices(state: State, delivery_key: bytes) -> dict[bytes, Stand]:
    """The delivery's devices that it will not reach, failed or gone, by their ledger keys."""
    rows = state.scan(Kind.TRANSIENT, delivery_key, delivery_key + b"\xff", _MOST_DEVICES)
    stands = ((key, Stand(row[_STATES_AT])) for key, row in rows)
    return {key: stand for key, stand in stands if stand in (Stand.FAILED, Stand.GONE)}


def _decode(row: bytes) -> Attempt:
    return Attempt(_CALL.unpack_from(row, HEAD_BYTES)[0], row[_STATES_AT:])
