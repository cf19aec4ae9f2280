"""Where deliveries that are not settled can be: what a queue or a schedule row holds of them."""

from collections.abc import Container, Iterable

import msgspec

from schemas import ids
from schemas.delivery import Body, decode_batch
from tables import bodies, parked, waiting
from tables.send_schedule import PREFIX as SEND_SCHEDULE
from tables.waiting import Waiting

_SENDER_ROWS = (SEND_SCHEDULE, parked.PREFIX)
_decode_body = msgspec.msgpack.Decoder(Body).decode


class Rows:
    """The rows of one durable changelog that hold any of `wanted`.

    A row deleted at offset `until` or later still counts: its delivery was there when we began
    to look, and may be settled by receipts that we did not read.
    """

    def __init__(self, *, is_sender: bool, wanted: Container[bytes], until: int) -> None:
        self._is_sender = is_sender
        self._wanted = wanted
        self._until = until
        self._held: dict[bytes, list[bytes]] = {}
        self._accepted_ms: dict[bytes, int] = {}

    def note(self, key: bytes, value: bytes | None, offset: int) -> None:
        """Records of the changelog, in order."""
        if value is None:
            if offset < self._until:
                self._held.pop(key, None)
        elif self._is_sender:
            if key.startswith(_SENDER_ROWS):
                self._hold(key, in_batch(value))
        elif key.startswith(waiting.SCHEDULE.prefix):
            self._hold(key, self._waiting(value))
        elif key.startswith(bodies.PREFIX):
            self._accepted_ms[key[len(bodies.PREFIX) :]] = _decode_body(value).accepted_ms

    def found(self) -> set[bytes]:
        return {delivery_id for held in self._held.values() for delivery_id in held}

    def _hold(self, key: bytes, delivery_ids: Iterable[bytes]) -> None:
        held = [each for each in delivery_ids if each in self._wanted]
        if held:
            self._held[key] = held

    def _waiting(self, value: bytes) -> list[bytes]:
        row = waiting.decode_due(value)
        if not isinstance(row, Waiting):
            return []
        if row.body is not None:
            accepted_ms = row.body.accepted_ms
        else:
            accepted_ms = self._accepted_ms.get(row.body_id, 0)
        return [
            ids.delivery_id(waiter.notification_id, row.channel, accepted_ms)
            for waiter in row.waiters
        ]


def in_batch(value: bytes) -> set[bytes]:
    """The deliveries of an encoded batch."""
    return {target.delivery_id for target in decode_batch(value).targets}
