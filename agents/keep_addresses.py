"""Reads addresses.changed, writes recipients.derived; remembers whose an address is, what bars it."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import assert_never

from agents.portions import halves, portions
from agents.stage import Batch, Effects, Item
from schemas.ids import partition_of
from schemas.kafka import Record
from schemas.profile import Suppression
from schemas.recipient_events import (
    AddressBarred,
    AddressClaimed,
    AddressEvent,
    AddressGivenUp,
    AddressUnbarred,
    DerivedChange,
    DeviceLost,
    HolderBarred,
    HolderUnbarred,
    encode_address_events,
    encode_derived,
)
from schemas.topics import ADDRESSES_CHANGED, RECIPIENTS_DERIVED
from tables import addresses
from tables.addresses import Address, Holder

EVENTS_A_YIELD = 2000
"""Bounds the bytes of a transaction and of each record in it."""
MOST_HOLDERS = 4000
"""Of a mailbox or number, the last to claim it. With ids of 128 ASCII characters their row, and what a
bar tells them, fit a record: else further claims and the bar itself would be dead letters."""
TAKEN_OVER = "taken_over"


class KeepAddresses:
    """A device token has one holder, the last to register it, or of one instant the first to be
    heard of; a bar outlives every holder.

    Who gave a token up is remembered until the next one claims it: what is queued for the former
    holder reaches the same phone, or nobody, until then, and somebody else from then on.
    """

    name = "keep_addresses"

    def __init__(self, *, partitions: int) -> None:
        self._partitions = partitions

    async def handle(self, batch: Batch[list[AddressEvent]]) -> AsyncIterator[Effects]:
        for items in portions(batch.items, len, EVENTS_A_YIELD):
            events = [event for item in items for event in item.value]
            hashes = list(dict.fromkeys(event.address_hash for event in events))
            tokens = list(dict.fromkeys(e.address_hash for e in events if e.channel == "push"))
            held = dict(zip(hashes, addresses.get_many(batch.state, hashes), strict=True))
            former = addresses.former_holders(batch.state, tokens)
            known = dict(former)
            changed: set[bytes] = set()
            derived: list[DerivedChange] = []
            for event in events:
                if _apply(held[event.address_hash], former, event, derived):
                    changed.add(event.address_hash)
            rows = [addresses.put(each, held[each]) for each in hashes if each in changed]
            rows += [
                addresses.put_former(each, former.get(each), batch.now_ms)
                for each in tokens
                if former.get(each) != known.get(each)
            ]
            yield Effects(rows, self._records(derived), items)

    def give_up(
        self, batch: Batch[list[AddressEvent]], item: Item[list[AddressEvent]], cause: str
    ) -> Effects:
        """What was known before still holds; of many, the others are said again."""
        if len(item.value) == 1:
            return Effects()
        records = [
            Record(ADDRESSES_CHANGED, batch.partition, encode_address_events(list(half)))
            for half in halves(item.value)
        ]
        return Effects(records=records, done=[item])

    def _records(self, derived: list[DerivedChange]) -> list[Record]:
        by_partition: defaultdict[int, list[DerivedChange]] = defaultdict(list)
        for change in derived:
            by_partition[partition_of(change.user_id, self._partitions)].append(change)
        return [
            Record(RECIPIENTS_DERIVED, partition, encode_derived(changes))
            for partition, changes in by_partition.items()
        ]


def _apply(
    address: Address,
    former: dict[bytes, Holder],
    event: AddressEvent,
    derived: list[DerivedChange],
) -> bool:
    """Whether the address's row changes; what follows for users is added to `derived`, and in
    `former` stands who gave it up, as long as it is nobody's."""
    match event:
        case AddressClaimed():
            return _claim(address, former, event, derived)
        case AddressGivenUp():
            return _give_up(address, former, event)
        case AddressBarred():
            return _bar(address, event, derived)
        case AddressUnbarred():
            return _unbar(address, event, derived)
        case _:
            assert_never(event)


def _claim(
    address: Address,
    former: dict[bytes, Holder],
    event: AddressClaimed,
    derived: list[DerivedChange],
) -> bool:
    claim = Holder(event.user_id, event.occurred_ms, event.offset, event.device_id)
    last = former.get(event.address_hash)
    if not address.holders and last is None and address.suppression is None:
        address.holders = [claim]
        return True
    others = [each for each in address.holders if each.user_id != claim.user_id]
    if len(others) == len(address.holders) and (bar := address.suppression) is not None:
        derived.append(
            HolderBarred(
                claim.user_id, bar.occurred_ms, event.channel, event.address_hash,
                bar.reason, bar.until_ms,
            )
        )  # fmt: skip
    if event.channel == "push":
        rivals = [*others, last] if last and last.user_id != claim.user_id else others
        # Of one instant the first to come stays: a loss removes what was registered at that instant.
        newer = next((each for each in rivals if each.occurred_ms >= claim.occurred_ms), None)
        for loser, winner in [(claim, newer)] if newer else [(each, claim) for each in rivals]:
            derived.append(
                DeviceLost(
                    loser.user_id, winner.occurred_ms, loser.device_id, event.address_hash,
                    TAKEN_OVER,
                )
            )  # fmt: skip
        if newer is not None:
            return False
        former.pop(event.address_hash, None)
        others = []
    own = next((each for each in address.holders if each.user_id == claim.user_id), None)
    if own is not None and (own.occurred_ms, own.offset) >= (claim.occurred_ms, claim.offset):
        return False
    address.holders = [*others, claim][-MOST_HOLDERS:]
    return True


def _give_up(address: Address, former: dict[bytes, Holder], event: AddressGivenUp) -> bool:
    for holder in address.holders:
        if holder.user_id == event.user_id and holder.occurred_ms <= event.occurred_ms:
            address.holders = [each for each in address.holders if each is not holder]
            if event.channel == "push":
                former[event.address_hash] = holder
            return True
    return False


def _bar(address: Address, event: AddressBarred, derived: list[DerivedChange]) -> bool:
    old = address.suppression
    if event.occurred_ms < address.released_ms or (old and event.occurred_ms < old.occurred_ms):
        return False
    new = Suppression(event.reason, event.occurred_ms, event.until_ms)
    if new == old:
        return False
    address.suppression = new
    derived.extend(
        HolderBarred(
            holder.user_id, event.occurred_ms, event.channel, event.address_hash,
            event.reason, event.until_ms,
        )
        for holder in address.holders
    )  # fmt: skip
    return True


def _unbar(address: Address, event: AddressUnbarred, derived: list[DerivedChange]) -> bool:
    old = address.suppression
    if event.occurred_ms <= address.released_ms or (old and old.occurred_ms > event.occurred_ms):
        return False
    address.suppression = None
    address.released_ms = event.occurred_ms
    derived.extend(
        HolderUnbarred(holder.user_id, event.occurred_ms, event.channel, event.address_hash)
        for holder in address.holders
    )
    return True
