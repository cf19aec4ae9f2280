"""Fallback deliveries that were begun: two failed channels of one notification begin it once."""

from collections.abc import Sequence

from tables.expiry import with_expiry
from tables.state import Kind, Row, State

PREFIX = b"f"


def put(delivery_id: bytes, expires_ms: int) -> Row:
    """`expires_ms` is the notification's own: past it nothing is begun anyway."""
    return Row(Kind.TRANSIENT, PREFIX + delivery_id, with_expiry(expires_ms, b""))


def begun(state: State, delivery_ids: Sequence[bytes]) -> set[bytes]:
    rows = state.get_many(Kind.TRANSIENT, [PREFIX + each for each in delivery_ids])
    return {each for each, row in zip(delivery_ids, rows, strict=True) if row is not None}
