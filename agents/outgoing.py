"""Deliveries of one yield, gathered into as few records as their sizes allow."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from agents.portions import halves
from schemas import ids
from schemas.delivery import (
    MAX_BATCH_BYTES,
    Body,
    Channel,
    DeliveryBatch,
    Lane,
    Target,
    encode_batch,
    encode_body,
)
from schemas.kafka import Record
from schemas.topics import deliveries

MAX_TARGETS = 1000
"""What the largest request to a provider takes."""
MAX_BODY_BYTES = 96 * 1024
"""A body must leave room for targets in its batch."""


class Notice(msgspec.Struct, frozen=True):
    """What is to be told, whoever it is told to."""

    body: Body
    lane: Lane
    body_bytes: int
    stored_as: bytes = b""
    """Where `tables/bodies.py` has the body, so that rows need not repeat it."""

    @classmethod
    def of(cls, body: Body, lane: Lane, *, stored_as: bytes = b"") -> "Notice":
        return cls(body, lane, len(encode_body(body)), stored_as)


Part = tuple[Notice, Sequence[Target]]
"""Whom something is told."""


class _Way(NamedTuple):
    """Deliveries that may share a record."""

    channel: Channel
    lane: Lane
    partition: int
    sender: str
    broadcast_id: bytes


class Outgoing:
    """Deliveries of one broadcast are slices of their own; single ones travel together."""

    def __init__(self, *, released_ms: int) -> None:
        self._released_ms = released_ms
        self._by_way: dict[_Way, list[Part]] = {}

    def add(
        self,
        channel: Channel,
        notice: Notice,
        parts: Sequence[Part],
        *,
        partition: int,
        sender: str = "",
    ) -> None:
        """Of one lane and broadcast, as `notice` is. The targets of a part have its body, whatever
        their index says, one and the same; it costs least where that is the part's place."""
        way = _Way(channel, notice.lane, partition, sender, notice.body.broadcast_id)
        self._by_way.setdefault(way, []).extend(parts)

    def records(self) -> list[Record]:
        return [
            record
            for way, added in self._by_way.items()
            for bodies, targets in _batches(added)
            for record in self._records(way, bodies, targets)
        ]

    def _records(
        self, way: _Way, bodies: list[Body], targets: Sequence[Target]
    ) -> Iterator[Record]:
        """One, or several where the texts are long."""
        value = self._encode(way, bodies, targets)
        if len(value) <= MAX_BATCH_BYTES or len(targets) == 1:
            yield Record(deliveries(way.channel, way.lane), way.partition, value)
            return
        for half in halves(targets):
            yield from self._records(way, *with_bodies_of(bodies, half))

    def _encode(self, way: _Way, bodies: list[Body], targets: Sequence[Target]) -> bytes:
        slice_id = b""
        if way.broadcast_id:
            first = targets[0].delivery_id + targets[0].device_id.encode()
            slice_id = ids.slice_id(way.broadcast_id, way.channel, way.partition, first)
        return encode_batch(
            DeliveryBatch(
                way.channel, way.lane, bodies, list(targets), self._released_ms, slice_id,
                sender=way.sender,
            )
        )  # fmt: skip


def with_bodies_of(
    bodies: list[Body], targets: Sequence[Target]
) -> tuple[list[Body], Sequence[Target]]:
    """Some of a batch's targets, with those of its bodies that they have."""
    used = sorted({target.body for target in targets})
    if len(used) == len(bodies):
        return bodies, targets
    place_of = {body: place for place, body in enumerate(used)}
    return [bodies[body] for body in used], [_at(each, place_of[each.body]) for each in targets]


def _batches(added: Sequence[Part]) -> Iterator[tuple[list[Body], list[Target]]]:
    """At most so many targets each, with the bodies that they have, each body once."""
    bodies: list[Body] = []
    targets: list[Target] = []
    size = 0
    for notice, theirs in added:
        for start in range(0, len(theirs), MAX_TARGETS):
            some = theirs[start : start + MAX_TARGETS]
            if targets and (len(targets) + len(some) > MAX_TARGETS or size > MAX_BATCH_BYTES // 2):
                yield bodies, targets
                bodies, targets, size = [], [], 0
            if not bodies or bodies[-1] is not notice.body:
                bodies.append(notice.body)
                size += notice.body_bytes
            place = len(bodies) - 1
            targets += some if some[0].body == place else [_at(each, place) for each in some]
    if targets:
        yield bodies, targets


def _at(target: Target, body: int) -> Target:
    return msgspec.structs.replace(target, body=body)
