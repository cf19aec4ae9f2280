"""Transient rows begin with the instant they expire, so that one sweep serves every table.

A row past its expiry is as good as deleted, except where a table says otherwise.
"""

import struct

_EXPIRES = struct.Struct(">Q")
HEAD_BYTES = _EXPIRES.size


def with_expiry(expires_ms: int, payload: bytes) -> bytes:
    return _EXPIRES.pack(expires_ms) + payload


def expires_ms_of(value: bytes) -> int:
    expires_ms: int = _EXPIRES.unpack_from(value)[0]
    return expires_ms
