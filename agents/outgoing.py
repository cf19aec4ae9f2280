"""Deliveries of one yield, gathered into as few records as their sizes allow."""

from schemas import ids
from schemas.delivery import (
    MAX_BATCH_BYTES,
    Body,
    Channel,
    DeliveryBatch,
    Lane,
    Target,
    encode_batch,
)
from schemas.kafka import Record
from schemas.topics import deliveries

MAX_TARGETS = 1000
"""What the largest request to a provider takes."""
MAX_BODY_BYTES = 96 * 1024
"""A body must leave room for targets in its batch."""
_FULL_BYTES = MAX_BATCH_BYTES - 8 * 1024
_TARGET_BYTES = 80
"""Ids, hash, counts and framing of a target."""
_BYTES_A_CHARACTER = 4


class _Batch:
    """One record in the making."""

    __slots__ = ("bodies", "size", "targets")

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.targets: list[Target] = []
        self.size = 0


class Outgoing:
    """Deliveries of one broadcast are slices of their own; single ones travel together."""

    def __init__(self, *, released_ms: int) -> None:
        self._released_ms = released_ms
        self._open: dict[tuple[Channel, Lane, int, str, bytes], _Batch] = {}
        self._full: list[Record] = []

    def place(
        self,
        channel: Channel,
        lane: Lane,
        body: Body,
        body_bytes: int,
        *,
        partition: int,
        sender: str,
        targets: int,
        text: int,
    ) -> _Batch:
        """The batch that takes the next `targets`, with `text` characters in all, of this body.

        The caller appends them with `body=len(batch.bodies) - 1`, all of a delivery at once.
        """
        key = (channel, lane, partition, sender, body.broadcast_id)
        batch = self._open.get(key)
        size = targets * _TARGET_BYTES + text * _BYTES_A_CHARACTER
        if batch is not None:
            added = size if batch.bodies[-1] is body else size + body_bytes
            if batch.size + added > _FULL_BYTES or len(batch.targets) + targets > MAX_TARGETS:
                self._full.append(self._record(key, batch))
                batch = None
        if batch is None:
            batch = self._open[key] = _Batch()
        if not batch.bodies or batch.bodies[-1] is not body:
            batch.bodies.append(body)
            batch.size += body_bytes
        batch.size += size
        return batch

    def records(self) -> list[Record]:
        return self._full + [self._record(key, batch) for key, batch in self._open.items()]

    def _record(self, key: tuple[Channel, Lane, int, str, bytes], batch: _Batch) -> Record:
        channel, lane, partition, sender, broadcast_id = key
        slice_id = b""
        if broadcast_id:
            first = batch.targets[0]
            slice_id = ids.slice_id(
                broadcast_id, channel, partition, first.delivery_id + first.device_id.encode()
            )
        value = encode_batch(
            DeliveryBatch(
                channel, lane, batch.bodies, batch.targets, self._released_ms, slice_id,
                sender=sender,
            )
        )  # fmt: skip
        return Record(deliveries(channel, lane), partition, value)
