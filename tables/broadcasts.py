"""How far each broadcast has come in this partition: a row that comes due for its next turn."""

import msgspec

from schemas.delivery import Channel, Lane
from tables.schedule import DueTable
from tables.state import Row, State

PROGRESS = DueTable(b"b")
_PART_BYTES = 2
_MOST_UNDER_WAY = 10_000


class Progress(msgspec.Struct, array_like=True, frozen=True):
    """What is left of one command; the body is in `tables/bodies.py`."""

    body_id: bytes
    part: int
    """Which of the commands for this partition; a long list of users comes in several."""
    lane: Lane
    channels: tuple[Channel, ...]
    audience: str = ""
    cursor: bytes = b""
    """Where the next scan of the audience begins."""
    user_ids: list[str] = []
    """Instead of an audience: who is left."""
    per_second: float = 0.0
    """This partition's share of `max_per_second`; 0 means as fast as it goes."""
    single_turns: int = 0
    """So many turns take one member each: a turn of many raised, and one of them is the cause."""
    starts_ms: int = 0
    """No turn before; the row may come due before it, only to ask whether it was called off."""


_encode = msgspec.msgpack.Encoder().encode
decode_progress = msgspec.msgpack.Decoder(Progress).decode


def put(due_ms: int, progress: Progress) -> Row:
    row_id = progress.body_id + progress.part.to_bytes(_PART_BYTES, "big")
    return PROGRESS.put(due_ms, row_id, _encode(progress))


def under_way(state: State) -> set[bytes]:
    """Ids of bodies of broadcasts that have members left here."""
    return {row_id[:-_PART_BYTES] for row_id in PROGRESS.row_ids(state, _MOST_UNDER_WAY)}
