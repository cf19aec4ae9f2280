"""`Buried`: deliveries that dead letters hold, and why each was given up."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from typing import Any

import msgspec

from proof.checker.evidence import Letter

Buried = Mapping[str, Set[str]]
"""Causes by delivery id."""


class _Target(msgspec.Struct, array_like=True):
    user_id: str
    notification_id: bytes
    delivery_id: bytes


class _Batch(msgspec.Struct, array_like=True):
    channel: str
    lane: str
    bodies: Any
    targets: list[_Target]


_decode = msgspec.msgpack.Decoder(_Batch).decode


def buried_in(letters: Iterable[Letter]) -> Buried:
    causes: defaultdict[str, set[str]] = defaultdict(set)
    for letter in letters:
        if letter.kind == "deliveries" and letter.value is not None:
            for target in _decode(letter.value).targets:
                causes[str(uuid.UUID(bytes=target.delivery_id))].add(letter.cause)
    return dict(causes)
