"""How often each user was reached by each channel; what it means is in `policies/caps.py`."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from policies import caps
from policies.caps import Caps
from schemas.delivery import CHANNELS, Channel
from tables.expiry import HEAD_BYTES, with_expiry
from tables.state import Kind, Row, State

_HOT_CAPS = 16_384
_PREFIX = {channel: b"c" + bytes([place]) for place, channel in enumerate(CHANNELS)}


def key_of(channel: Channel, user_id: str) -> bytes:
    return _PREFIX[channel] + user_id.encode()


def keys_of(channel: Channel, user_ids: Iterable[str]) -> list[bytes]:
    prefix = _PREFIX[channel]
    return [prefix + user_id.encode() for user_id in user_ids]


def put(key: bytes, counted: Caps) -> Row:
    return Row(Kind.TRANSIENT, key, _value_of(counted))


def get_many(state: State, keys: Sequence[bytes]) -> list[Caps]:
    """An expired row counts nothing: its slots and its day are past.

    Equal caps are one object, mostly, as few users of a broadcast differ in theirs.
    """
    rows = state.get_many(Kind.TRANSIENT, keys)
    return [caps.NOTHING if row is None else _caps_of(row) for row in rows]


@lru_cache(maxsize=_HOT_CAPS)
def _value_of(counted: Caps) -> bytes:
    return with_expiry(caps.expiry_ms(counted), caps.encode(counted))


@lru_cache(maxsize=_HOT_CAPS)
def _caps_of(row: bytes) -> Caps:
    return caps.decode(row[HEAD_BYTES:])
