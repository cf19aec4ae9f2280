"""Transient rows packed into changelog records: one record holds many rows."""

from collections.abc import Collection, Iterator

import msgspec

Rows = dict[bytes, bytes | None]
"""By key; None deletes."""

RowList = list[tuple[bytes, bytes | None]]

MAX_PACKED_BYTES = 200_000
_ROW_OVERHEAD_BYTES = 12

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]]).decode


def pack_rows(rows: Collection[tuple[bytes, bytes | None]]) -> Iterator[bytes]:
    """Records of at most `MAX_PACKED_BYTES`, unless one row alone is larger."""
    sizes = [
        len(key) + _ROW_OVERHEAD_BYTES + (len(value) if value is not None else 0)
        for key, value in rows
    ]
    if rows and sum(sizes) <= MAX_PACKED_BYTES:
        yield _encode(list(rows))
        return
    pack: RowList = []
    size = 0
    for row, row_size in zip(rows, sizes, strict=True):
        if pack and size + row_size > MAX_PACKED_BYTES:
            yield _encode(pack)
            pack, size = [], 0
        pack.append(row)
        size += row_size
    if pack:
        yield _encode(pack)


def unpack_rows(value: bytes) -> RowList:
    return _decode(value)
