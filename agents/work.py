"""`Work`: a delivery batch in progress, seen through its ledger rows.

The ledger decides what of a batch is still to be done, so that a batch read again (after a
crash, or because a dead letter was replayed twice) goes on where it was left and repeats nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from agents.outgoing import with_bodies_of
from agents.stage import Item
from policies.stops import Against, StopList
from schemas import ids
from schemas.delivery import Body, DeliveryBatch
from tables import attempts
from tables.attempts import Attempt, Stand
from tables.state import Row, State

Claim = tuple[bytes, int]
"""A unit by its ledger key, and the call that is to be made for it."""


@dataclass(slots=True, eq=False)
class Work:
    """An item, the ledger keys of its units, and how far each member (target) has come."""

    item: Item[DeliveryBatch]
    keys: list[bytes]
    """One for a slice, else one for each target."""
    stands: bytearray
    fresh: list[int]
    """Members that no call was begun for."""
    doubtful: list[int]
    """Members with an intent whose outcome was never recorded."""
    unsettled: int
    checked_version: int = -1
    """The version of the stops that all fresh members were checked at, and the instant."""
    checked_ms: int = 0

    @property
    def batch(self) -> DeliveryBatch:
        return self.item.value

    def unit_of(self, member: int) -> bytes:
        return self.keys[0] if self.batch.slice_id else self.keys[member]

    def body_of(self, member: int) -> Body:
        return self.batch.body_of(self.batch.targets[member])

    def stopped(
        self, members: Sequence[int], stops: StopList, now_ms: int, provider: str
    ) -> dict[int, Against]:
        """The places, among these members, of those that may not go, and why."""
        batch = self.batch
        return stops.check_many(
            [batch.targets[member] for member in members],
            batch.bodies,
            batch.channel,
            released_ms=batch.released_ms,
            now_ms=now_ms,
            provider=provider,
        )

    def settle(self, members: Sequence[int], stand: Stand) -> None:
        for member in members:
            self.stands[member] = stand
        self.unsettled -= len(members)

    def rows(self, members: Sequence[int], expires_ms: int) -> list[Row]:
        """The ledger rows of these members as they stand now."""
        call, stands = self.batch.call, bytes(self.stands)
        if self.batch.slice_id:
            return [attempts.put(self.keys[0], call, stands, expires_ms)]
        return [
            attempts.put(self.keys[member], call, stands[member : member + 1], expires_ms)
            for member in members
        ]


def take_up(
    items: Sequence[Item[DeliveryBatch]], state: State, claimed: set[Claim]
) -> tuple[list[Work], set[Claim]]:
    """What is to be done for each item, and what of it is ours until it is done.

    A unit claimed by another batch in progress, for the same call, is left to it: its item is
    not done yet, so after a crash it comes back. One that is to be called again is another
    claim: its batch may still wait for the answers of others when it comes due.
    """
    works: list[Work] = []
    ours: set[Claim] = set()
    for item in items:
        keys = _keys_of(item.value, item.value.round)
        work = Work(item, keys, bytearray(len(item.value.targets)), [], [], 0)
        for place, row in enumerate(attempts.get_many(state, keys)):
            claim = (keys[place], item.value.call)
            if claim not in claimed and claim not in ours and _resume(work, place, row):
                ours.add(claim)
        if item.value.round:
            _recall(work, state)
        work.unsettled = len(work.fresh) + len(work.doubtful)
        works.append(work)
    return works, ours


def in_groups(works: Sequence[Work], members: int) -> Iterator[list[Work]]:
    """In order, each group with at most so many members, or a single larger work."""
    group: list[Work] = []
    size = 0
    for work in works:
        if group and size + len(work.stands) > members:
            yield group
            group, size = [], 0
        group.append(work)
        size += len(work.stands)
    if group:
        yield group


def part_of(
    batch: DeliveryBatch, members: Sequence[int], *, attempt: int, call: int
) -> DeliveryBatch:
    """These members as a batch of their own, to be sent by the given call or kept.

    Part of a slice is a unit of its own, named by what only this part begins with.
    """
    bodies, targets = with_bodies_of(batch.bodies, [batch.targets[member] for member in members])
    slice_id = batch.slice_id
    if slice_id:
        first = targets[0].delivery_id + targets[0].device_id.encode()
        slice_id = ids.slice_id(slice_id, batch.channel, call, first)
    return msgspec.structs.replace(
        batch,
        bodies=bodies,
        targets=list(targets),
        slice_id=slice_id,
        attempt=attempt,
        call=call,
    )


def _keys_of(batch: DeliveryBatch, round_: int) -> list[bytes]:
    if batch.slice_id:
        return [attempts.key_of(batch.slice_id, round_)]
    return [attempts.key_of(t.delivery_id, round_, t.device_id) for t in batch.targets]


def _resume(work: Work, place: int, row: Attempt | None) -> bool:
    """Sort the members of one unit; False when nothing is left to do for it."""
    batch = work.batch
    members = range(len(batch.targets)) if batch.slice_id else (place,)
    if row is None or row.call < batch.call:
        work.fresh.extend(members)
        return True
    if row.call > batch.call:  # the ledger is ahead: what followed this batch was begun already
        return False
    before = len(work.fresh) + len(work.doubtful)
    for member, stand in zip(members, row.stands, strict=True):
        work.stands[member] = stand
        if stand == Stand.NOTHING:
            work.fresh.append(member)
        elif stand == Stand.INTENT:
            work.doubtful.append(member)
    return len(work.fresh) + len(work.doubtful) > before


def _recall(work: Work, state: State) -> None:
    """Leave out what an earlier round did more with than fail: a dead letter of our own error
    holds a batch whole, though some of it may have been sent."""
    batch, fresh = work.batch, set(work.fresh)
    for round_ in range(batch.round):
        for place, row in enumerate(attempts.get_many(state, _keys_of(batch, round_))):
            if row is None:
                continue
            members = range(len(batch.targets)) if batch.slice_id else (place,)
            for member, stand in zip(members, row.stands, strict=True):
                if member in fresh and stand not in (Stand.NOTHING, Stand.FAILED):
                    fresh.discard(member)
                    work.stands[member] = stand
                    if stand == Stand.INTENT:
                        work.doubtful.append(member)
    work.fresh = [member for member in work.fresh if member in fresh]
