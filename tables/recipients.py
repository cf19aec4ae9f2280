"""Profiles by user_id: addresses, devices, preferences, zone; what every decision reads."""

from collections.abc import Sequence

from schemas.profile import Profile, decode_profile, encode_profile
from tables.state import Kind, Row, State

PREFIX = b"r"


def put(user_id: str, profile: Profile) -> Row:
    return Row(Kind.DURABLE, PREFIX + user_id.encode(), encode_profile(profile))


def of(row: Row) -> Profile:
    """What `put` made the row of."""
    assert row.value is not None, "a profile is never deleted"
    return decode_profile(row.value)


def get_many(state: State, user_ids: Sequence[str]) -> list[Profile | None]:
    rows = state.get_many(Kind.DURABLE, [PREFIX + user_id.encode() for user_id in user_ids])
    return [None if row is None else decode_profile(row) for row in rows]
