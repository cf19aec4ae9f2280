"""Which requests were decided already: the memory behind "one notification for one request".

A row is judged only by the append times of the two records, never by the clock, because a
backlog of 30 hours must deduplicate as if it had been read at once. It may be swept only when
every request source of the partition is past its expiry.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from tables.expiry import HEAD_BYTES, with_expiry
from tables.state import Kind, Row, State

PREFIX = b"d"
_SEEN = struct.Struct(">Q")


class Seen(NamedTuple):
    """The first record of a request: when the broker appended it, and what it asked for."""

    appended_ms: int
    fingerprint: bytes


def put(request_id: bytes, seen: Seen, window_ms: int) -> Row:
    payload = _SEEN.pack(seen.appended_ms) + seen.fingerprint
    value = with_expiry(seen.appended_ms + window_ms, payload)
    return Row(Kind.TRANSIENT, PREFIX + request_id, value)


def get_many(state: State, request_ids: Sequence[bytes]) -> list[Seen | None]:
    rows = state.get_many(Kind.TRANSIENT, [PREFIX + request_id for request_id in request_ids])
    return [None if row is None else _decode(row) for row in rows]


def _decode(row: bytes) -> Seen:
    (appended_ms,) = _SEEN.unpack_from(row, HEAD_BYTES)
    return Seen(appended_ms, row[HEAD_BYTES + _SEEN.size :])
