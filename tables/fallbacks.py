"""Fallback deliveries that were begun: two failed channels of one notification begin it once."""

from collections.abc import Sequence

from tables.expiry import with_expiry
from tables.state import Kind, Row, State

PREFIX = b"f"
REMEMBERED_MS = 8 * 86_400_000
"""Longer than a failed delivery is kept for us: a worker that was down reads it when the
notification has long expired, and would tell so of a fallback that had its end before."""


def put(delivery_id: bytes, *, now_ms: int, expires_ms: int) -> Row:
    """`expires_ms` is the notification's own."""
    until_ms = max(expires_ms, now_ms + REMEMBERED_MS)
    return Row(Kind.TRANSIENT, PREFIX + delivery_id, with_expiry(until_ms, b""))


def begun(state: State, delivery_ids: Sequence[bytes]) -> set[bytes]:
    rows = state.get_many(Kind.TRANSIENT, [PREFIX + each for each in delivery_ids])
    return {each for each, row in zip(delivery_ids, rows, strict=True) if row is not None}
