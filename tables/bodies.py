"""Bodies of broadcasts, once a partition; progress and waiting slices refer to them."""

from collections.abc import Iterable

import msgspec

from schemas import ids
from schemas.delivery import Body, encode_body
from tables.state import Kind, Row, State

PREFIX = b"o"

_decode = msgspec.msgpack.Decoder(Body).decode


def id_of(body: Body) -> bytes:
    """Of a broadcast's."""
    return ids.body_id(body.broadcast_id, body.accepted_ms)


def put(body: Body) -> Row:
    return Row(Kind.DURABLE, PREFIX + id_of(body), encode_body(body))


def delete(body_id: bytes) -> Row:
    return Row(Kind.DURABLE, PREFIX + body_id, None)


def get_many(state: State, body_ids: Iterable[bytes]) -> dict[bytes, Body]:
    """Those that are there; a body is kept until nothing of its broadcast can be alive."""
    wanted = sorted(set(body_ids))
    rows = state.get_many(Kind.DURABLE, [PREFIX + each for each in wanted])
    return {each: _decode(row) for each, row in zip(wanted, rows, strict=True) if row is not None}
