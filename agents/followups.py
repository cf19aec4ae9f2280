"""`FollowUps`: what a sender leaves behind for later and for others, grouped into few records.

Members of one batch that meet the same fate travel on together: one schedule row, one returned
batch, one dead letter.
"""

from typing import NamedTuple, TypeVar

import msgspec

from agents.work import Work, part_of
from schemas import ids
from schemas.dead_letter import encode_dead_letter, letter_of_deliveries
from schemas.delivery import DeliveryBatch, Returned, encode_batch, encode_returned
from schemas.kafka import Record
from schemas.recipient_events import (
    AddressBarred,
    AddressEvent,
    DerivedChange,
    DeviceLost,
    encode_address_events,
    encode_derived,
)
from schemas.topics import (
    ADDRESSES_CHANGED,
    DEAD_LETTERS,
    DELIVERIES_RETURNED,
    RECIPIENTS_DERIVED,
    deliveries,
)
from tables import attempts, parked
from tables.attempts import Stand
from tables.send_schedule import SCHEDULES
from tables.state import Row, State

STAGE = "send"
"""The name that dead letters give to where they come from."""

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class Later(NamedTuple):
    """When members are to be sent, and what their batch says of itself by then."""

    due_ms: int
    attempt: int
    held_attempt: int
    free_calls: int


class FollowUps:
    """Of one yield. `state` is read for what became of a delivery's other devices."""

    def __init__(self, *, state: State, partitions: int, now_ms: int) -> None:
        self._state = state
        self._partitions = partitions
        self._now_ms = now_ms
        self._scheduled: dict[tuple[Work, Later], list[int]] = {}
        self._parked: dict[tuple[Work, str], list[int]] = {}
        self._returned: dict[tuple[Work, str, int], list[int]] = {}
        self._dead: dict[tuple[Work, str], list[int]] = {}
        self._derived: dict[int, list[DerivedChange]] = {}
        self._addresses: dict[int, list[AddressEvent]] = {}
        self._devices: dict[bytes, tuple[int, Stand]] = {}
        """Devices lost in this yield: ledger key to call and stand."""

    def schedule(self, work: Work, member: int, later: Later) -> None:
        _add(self._scheduled, (work, later), member)

    def park(self, work: Work, member: int, control: str) -> None:
        _add(self._parked, (work, control), member)

    def address_died(self, work: Work, member: int) -> None:
        """The provider knows that nobody can be reached there any more.

        A device is removed as of when its token was read, so that one registered since stays.
        """
        batch, target = work.batch, work.batch.targets[member]
        if batch.channel == "push":
            lost = DeviceLost(
                target.user_id,
                batch.released_ms,
                target.device_id,
                target.address_hash,
                "unregistered",
            )
            _add(self._derived, self._home_of(work, member), lost)
        elif target.address_hash:
            barred = AddressBarred(
                target.address_hash,
                batch.channel,
                self._now_ms,
                max(work.item.offset, 0),
                "address_invalid",
            )
            home = ids.partition_of_hash(target.address_hash, self._partitions)
            _add(self._addresses, home, barred)

    def lost(self, work: Work, member: int, stand: Stand, reason: str, *, is_dead: bool) -> None:
        """The member will not be reached: it failed, or its device or address is gone.

        A delivery that has failed goes back for its next channel. One that has such a channel
        is never a dead letter: it could be replayed after the other channel had reached.
        """
        target = work.batch.targets[member]
        if work.batch.body_of(target).fallback:
            if self._has_failed(work, member, stand):
                _add(self._returned, (work, reason, self._home_of(work, member)), member)
        elif is_dead:
            _add(self._dead, (work, reason), member)

    def dead_letter(self, work: Work, member: int, reason: str) -> None:
        _add(self._dead, (work, reason), member)

    def rows(self, expires_ms: int) -> list[Row]:
        rows = [
            attempts.put(key, call, bytes([stand]), expires_ms)
            for key, (call, stand) in self._devices.items()
        ]
        for (work, later), members in self._scheduled.items():
            part = part_of(work.batch, members, attempt=later.attempt, call=work.batch.call + 1)
            batch = msgspec.structs.replace(
                part, held_attempt=later.held_attempt, free_calls=later.free_calls
            )
            row_id = _row_id(batch)
            rows.append(SCHEDULES[batch.lane].put(later.due_ms, row_id, encode_batch(batch)))
        for (work, control), members in self._parked.items():
            attempt = work.batch.attempt
            batch = part_of(work.batch, members, attempt=attempt, call=work.batch.call + 1)
            rows.append(parked.put(control, _row_id(batch), encode_batch(batch)))
        return rows

    def records(self) -> list[Record]:
        records = [
            Record(RECIPIENTS_DERIVED, home, encode_derived(changes))
            for home, changes in self._derived.items()
        ]
        for home, events in self._addresses.items():
            records.append(Record(ADDRESSES_CHANGED, home, encode_address_events(events)))
        for (work, reason, home), members in self._returned.items():
            batch = part_of(work.batch, members, attempt=work.batch.attempt, call=work.batch.call)
            returned = Returned(batch.channel, batch.lane, reason, batch.bodies, batch.targets)
            records.append(Record(DELIVERIES_RETURNED, home, encode_returned(returned)))
        for (work, reason), members in self._dead.items():
            batch = part_of(work.batch, members, attempt=work.batch.attempt, call=work.batch.call)
            letter = letter_of_deliveries(
                batch,
                topic=deliveries(batch.channel, batch.lane),
                partition=self._state.partition,
                stage=STAGE,
                cause=reason,
                now_ms=self._now_ms,
            )
            value = encode_dead_letter(letter)
            records.append(Record(DEAD_LETTERS, self._state.partition, value))
        return records

    def _home_of(self, work: Work, member: int) -> int:
        """The partition of the recipient: deliveries by SMS are in that of their sender."""
        notification_id = work.batch.targets[member].notification_id
        return ids.partition_of_id(notification_id, self._partitions)

    def _has_failed(self, work: Work, member: int, stand: Stand) -> bool:
        """Whether the whole delivery has: on all its devices, and not just because they are gone.

        Each lost device has a row of its own, for slices too, since the slices that its
        siblings are in by now cannot be found from here.
        """
        batch, target = work.batch, work.batch.targets[member]
        if target.device_count == 1:
            return stand is Stand.FAILED
        delivery = attempts.key_of(target.delivery_id, batch.round)
        self._devices[delivery + target.device_id.encode()] = (batch.call, stand)
        lost = attempts.lost_devices(self._state, delivery)
        lost.update(
            (key, lost_now)
            for key, (_, lost_now) in self._devices.items()
            if key.startswith(delivery)
        )
        return len(lost) >= target.device_count and Stand.FAILED in lost.values()


def _add(groups: dict[KeyT, list[ValueT]], key: KeyT, value: ValueT) -> None:
    groups.setdefault(key, []).append(value)


def _row_id(batch: DeliveryBatch) -> bytes:
    """Unique among rows of one instant: no unit waits twice, and its first is in no other."""
    first = batch.targets[0]
    unit = batch.slice_id or first.delivery_id + first.device_id.encode()
    return unit + batch.round.to_bytes(2, "big") + batch.call.to_bytes(4, "big")
