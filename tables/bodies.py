"""Bodies of broadcasts, once a partition; progress and waiting slices refer to them."""

from collections.abc import Iterable

import msgspec

from schemas.delivery import Body, encode_body
from tables.state import Kind, Row, State

PREFIX = b"o"

_decode = msgspec.msgpack.Decoder(Body).decode


def put(body: Body) -> Row:
    return Row(Kind.DURABLE, PREFIX + body.broadcast_id, encode_body(body))


def delete(broadcast_id: bytes) -> Row:
    return Row(Kind.DURABLE, PREFIX + broadcast_id, None)


def get_many(state: State, broadcast_ids: Iterable[bytes]) -> dict[bytes, Body]:
    """Those that are there; a body is kept until nothing of its broadcast can be alive."""
    wanted = sorted(set(broadcast_ids))
    rows = state.get_many(Kind.DURABLE, [PREFIX + each for each in wanted])
    return {each: _decode(row) for each, row in zip(wanted, rows, strict=True) if row is not None}
