"""How often each user was reached by each channel; what it means is in `policies/caps.py`."""

from collections.abc import Sequence

from policies import caps
from policies.caps import Caps
from schemas.delivery import CHANNELS, Channel
from tables.expiry import HEAD_BYTES, with_expiry
from tables.state import Kind, Row, State

_PREFIX = {channel: b"c" + bytes([place]) for place, channel in enumerate(CHANNELS)}


def key_of(channel: Channel, user_id: str) -> bytes:
    return _PREFIX[channel] + user_id.encode()


def put(key: bytes, counted: Caps) -> Row:
    value = with_expiry(caps.expiry_ms(counted), caps.encode(counted))
    return Row(Kind.TRANSIENT, key, value)


def get_many(state: State, keys: Sequence[bytes]) -> list[Caps]:
    """An expired row counts nothing: its slots and its day are past."""
    rows = state.get_many(Kind.TRANSIENT, keys)
    return [caps.NOTHING if row is None else caps.decode(row[HEAD_BYTES:]) for row in rows]
