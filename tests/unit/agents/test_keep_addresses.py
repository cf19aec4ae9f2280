"""Whose an address is, and what bars it."""

from itertools import permutations

import pytest

from agents.keep_addresses import MOST_HOLDERS, KeepAddresses
from agents.stage import Item
from schemas.decode import MAX_RECORD_BYTES
from schemas.ids import partition_of
from schemas.recipient_events import (
    AddressBarred,
    AddressClaimed,
    AddressEvent,
    AddressGivenUp,
    AddressUnbarred,
    DeviceLost,
    HolderBarred,
    HolderUnbarred,
    decode_address_events,
)
from schemas.topics import ADDRESSES_CHANGED
from tables import addresses
from tests.doubles import BatchOf, Driven, MemoryState, drive
from tests.unit.agents.recipient_records import derived

HASH = b"0123456789abcdef"


async def keep(state: MemoryState, *events: AddressEvent) -> Driven:
    items = [Item([event], offset=offset) for offset, event in enumerate(events)]
    return await drive(KeepAddresses(partitions=4), BatchOf(items, 0, state))


def claim(user_id: str, occurred_ms: int, channel: str = "push", offset: int = 0) -> AddressClaimed:
    return AddressClaimed(HASH, channel, occurred_ms, offset, user_id, f"{user_id}'s")


def holders(state: MemoryState) -> list[str]:
    (address,) = addresses.get_many(state, [HASH])
    return [holder.user_id for holder in address.holders]


async def test_a_phone_that_is_sold_is_lost_by_its_former_holder() -> None:
    state = MemoryState()

    kept = await keep(state, claim("ann", 1), claim("bob", 2))

    assert holders(state) == ["bob"]
    assert derived(kept.records) == [DeviceLost("ann", 2, "ann's", HASH, "taken_over")]
    assert [record.partition for record in kept.records] == [partition_of("ann", 4)]


@pytest.mark.parametrize("order", list(permutations([("ann", 1), ("bob", 2), ("ann", 3)])))
async def test_a_token_that_comes_back_has_one_holder_in_any_order(
    order: tuple[tuple[str, int], ...],
) -> None:
    state = MemoryState()

    kept = await keep(state, *(claim(user_id, at) for user_id, at in order))

    assert holders(state) == ["ann"]
    lost = derived(kept.records)
    assert any(fact.user_id == "bob" and fact.occurred_ms == 3 for fact in lost)
    # Ann's own registration at 3 is newer than whatever she was told to have lost.
    assert all(fact.occurred_ms < 3 for fact in lost if fact.user_id == "ann")


async def test_of_claims_of_one_instant_the_first_to_be_heard_of_stays() -> None:
    """Their offsets say nothing: they are of different partitions."""
    state = MemoryState()

    kept = await keep(state, claim("bob", 1, offset=7), claim("ann", 1, offset=8))

    assert holders(state) == ["bob"]
    assert derived(kept.records) == [DeviceLost("ann", 1, "ann's", HASH, "taken_over")]


async def test_a_token_given_up_is_nobodys_and_needs_no_row() -> None:
    state = MemoryState()

    await keep(state, claim("ann", 1), AddressGivenUp(HASH, "push", 2, 0, "ann", "ann's"))

    assert holders(state) == []
    assert state.count(kind=addresses.put(HASH, addresses.Address()).kind) == 0


def given_up(user_id: str, occurred_ms: int) -> AddressGivenUp:
    return AddressGivenUp(HASH, "push", occurred_ms, 0, user_id, f"{user_id}'s")


async def test_who_gave_a_token_up_hears_of_the_next_to_claim_it_once() -> None:
    """What is queued for the former holder would reach the next one."""
    state = MemoryState()
    await keep(state, claim("ann", 1), given_up("ann", 2))

    kept = await keep(state, claim("bob", 3))
    assert derived(kept.records) == [DeviceLost("ann", 3, "ann's", HASH, "taken_over")]

    kept = await keep(state, given_up("bob", 4), claim("cid", 5))
    assert [fact.user_id for fact in derived(kept.records)] == ["bob"]


async def test_who_takes_a_token_up_again_has_lost_nothing() -> None:
    state = MemoryState()

    kept = await keep(state, claim("ann", 1), given_up("ann", 2), claim("ann", 3))

    assert derived(kept.records) == []
    assert holders(state) == ["ann"]
    assert addresses.former_holders(state, [HASH]) == {}


async def test_a_claim_older_than_that_of_the_former_holder_makes_nobody_the_holder() -> None:
    state = MemoryState()

    kept = await keep(state, claim("ann", 5), given_up("ann", 6), claim("bob", 4))

    assert derived(kept.records) == [DeviceLost("bob", 5, "bob's", HASH, "taken_over")]
    assert holders(state) == []


async def test_giving_up_what_another_holds_by_now_changes_nothing() -> None:
    state = MemoryState()

    await keep(
        state, claim("ann", 1), claim("bob", 2), AddressGivenUp(HASH, "push", 3, 0, "ann", "ann's")
    )

    assert holders(state) == ["bob"]


async def test_a_number_has_many_holders_and_a_stop_bars_them_all() -> None:
    state = MemoryState()

    kept = await keep(
        state,
        claim("ann", 1, "sms"),
        claim("bob", 2, "sms"),
        AddressBarred(HASH, "sms", 5, 0, "stop"),
    )

    assert holders(state) == ["ann", "bob"]
    assert sorted(fact.user_id for fact in derived(kept.records)) == ["ann", "bob"]
    assert all(isinstance(fact, HolderBarred) for fact in derived(kept.records))


async def test_what_everybody_claims_is_still_barred_for_the_last_of_them_and_for_whoever_comes() -> (
    None
):
    """As a placeholder in imports is; with ids as long as they may be."""
    state, names = MemoryState(), [f"{n:0128}" for n in range(MOST_HOLDERS + 5)]
    await keep(state, *(claim(each, 1, "email") for each in names))

    barred = await keep(state, AddressBarred(HASH, "email", 5, 0, "bounced"))
    later = await keep(state, claim("zoe", 9, "email"))

    assert sorted(each.user_id for each in derived(barred.records)) == names[5:]
    assert sum(len(each.value or b"") for each in barred.records) < MAX_RECORD_BYTES
    assert derived(later.records) == [HolderBarred("zoe", 5, "email", HASH, "bounced")]
    assert len(holders(state)) == MOST_HOLDERS


async def test_a_bar_outlives_its_holders_and_meets_the_next_one() -> None:
    state = MemoryState()
    await keep(
        state,
        claim("ann", 1, "sms"),
        AddressBarred(HASH, "sms", 5, 0, "stop"),
        AddressGivenUp(HASH, "sms", 6, 0, "ann"),
    )

    kept = await keep(state, claim("cid", 9, "sms"))

    assert derived(kept.records) == [HolderBarred("cid", 5, "sms", HASH, "stop")]


async def test_a_release_older_than_the_bar_does_not_lift_it_and_a_newer_one_does() -> None:
    state = MemoryState()
    bar = AddressBarred(HASH, "sms", 5, 0, "stop")

    kept = await keep(state, claim("ann", 1, "sms"), bar, AddressUnbarred(HASH, "sms", 4, 0))
    assert not any(isinstance(fact, HolderUnbarred) for fact in derived(kept.records))

    kept = await keep(state, AddressUnbarred(HASH, "sms", 7, 0))
    assert derived(kept.records) == [HolderUnbarred("ann", 7, "sms", HASH)]

    kept = await keep(state, AddressBarred(HASH, "sms", 6, 0, "stop"))
    assert derived(kept.records) == []


async def test_events_of_a_record_that_raises_are_said_again_in_halves() -> None:
    events: list[AddressEvent] = [claim(name, 1) for name in ("ann", "bob", "cid")]
    item = Item(events)
    stage, state = KeepAddresses(partitions=4), MemoryState(2)

    owed = stage.give_up(BatchOf([item], 0, state), item, "ValueError")
    alone = stage.give_up(BatchOf([item], 0, state), Item(events[:1]), "ValueError")

    assert list(owed.done) == [item], "it goes on, so it is no dead letter"
    assert {(each.topic, each.partition) for each in owed.records} == {(ADDRESSES_CHANGED, 2)}
    parts = [decode_address_events(each.value or b"") for each in owed.records]
    assert [event for part in parts for event in part] == events
    assert not alone.done
