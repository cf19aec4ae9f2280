"""Who belongs to an audience: `audience ‖ NUL ‖ user_id`, in the member's own partition.

Somebody who left keeps a row, so that an older or less entitled join does not bring them back.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from schemas.profile import Choice, Source
from tables.state import Kind, Row, State

PREFIX = b"m"
_VALUE = struct.Struct(">BBQ")
_HOT_CHOICES = 1024
"""An import says the same of everybody."""
_SOURCES: tuple[Source, ...] = ("user", "producer", "import", "provider")


class Member(msgspec.Struct, frozen=True, gc=False):
    """One member, and since when."""

    user_id: str
    joined_ms: int


class Page(NamedTuple):
    """Some members in order, and where the next scan begins; None after the last."""

    members: list[Member]
    cursor: bytes | None


def key_of(audience: str, user_id: str) -> bytes:
    return PREFIX + f"{audience}\0{user_id}".encode()


def put(key: bytes, choice: Choice) -> Row:
    """By `key_of`."""
    return Row(Kind.DURABLE, key, _encode(choice))


def get_many(state: State, keys: Sequence[bytes]) -> list[Choice | None]:
    """Memberships by `key_of`; enabled means a member."""
    return [None if row is None else _decode(row) for row in state.get_many(Kind.DURABLE, keys)]


def page(state: State, audience: str, cursor: bytes, limit: int) -> Page:
    """Up to `limit` rows from `cursor` on (b"" at first), those who left passed over."""
    head = b"%b%b\0" % (PREFIX, audience.encode())
    rows = state.scan(Kind.DURABLE, cursor or head, head[:-1] + b"\x01", limit)
    skip = len(head)
    members = [
        Member(key[skip:].decode(), _VALUE.unpack(value)[2]) for key, value in rows if value[0]
    ]
    return Page(members, rows[-1][0] + b"\0" if len(rows) == limit else None)


@lru_cache(maxsize=_HOT_CHOICES)
def _encode(choice: Choice) -> bytes:
    return _VALUE.pack(choice.enabled, _SOURCES.index(choice.source), choice.occurred_ms)


def _decode(row: bytes) -> Choice:
    is_member, source, occurred_ms = _VALUE.unpack(row)
    return Choice(bool(is_member), _SOURCES[source], occurred_ms)
