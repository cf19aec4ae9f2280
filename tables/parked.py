"""Deliveries held by an operator's pause, by the control that holds them.

They wait in no queue, so nothing else waits behind them, and they survive any restart.
"""

from collections.abc import Callable

from tables.state import Kind, Row, State

PREFIX = b"k"
_ALL = (PREFIX, bytes([PREFIX[0] + 1]))
_END = b"\x00"  # control keys are printable, so no key is the beginning of another
_PAST = b"\x01"


def put(control: str, row_id: bytes, value: bytes) -> Row:
    """`row_id` must be unique among the rows of one control."""
    return Row(Kind.DURABLE, _prefix(control) + _END + row_id, value)


def control_of(key: bytes) -> str:
    return key[len(PREFIX) : key.index(_END, len(PREFIX))].decode()


def row_id_of(key: bytes) -> bytes:
    return key[key.index(_END, len(PREFIX)) + len(_END) :]


def is_any(state: State) -> bool:
    return bool(state.scan(Kind.DURABLE, *_ALL, 1))


def released(
    state: State, is_active: Callable[[str], bool], limit: int
) -> list[tuple[bytes, bytes]]:
    """At most `limit` rows whose control holds no longer; skips the others without reading them."""
    found: list[tuple[bytes, bytes]] = []
    start, end = _ALL
    while len(found) < limit:
        first = state.scan(Kind.DURABLE, start, end, 1)
        if not first:
            break
        control = control_of(first[0][0])
        start = _prefix(control) + _PAST
        if not is_active(control):
            found += state.scan(Kind.DURABLE, _prefix(control), start, limit - len(found))
    return found


def _prefix(control: str) -> bytes:
    return PREFIX + control.encode()
