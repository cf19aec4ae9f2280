"""Whose device has which token, by what is said about recipients."""

import pytest

from agents.keep_recipients import RecipientNews
from agents.stage import Item
from schemas.ids import address_hash
from schemas.recipient_events import AddressClaimed, AddressGivenUp, DeviceLost, ImportedDevice
from tests.doubles import MemoryState
from tests.unit.agents.recipient_records import (
    KEY,
    NOON_MS,
    address_events,
    change,
    imported,
    keep,
    profile_of,
)


async def test_a_device_registered_again_is_claimed_again() -> None:
    state = MemoryState()
    device = {"device_id": "phone", "token": "t1", "platform": "ios"}
    await keep(state, change("device_registered", **device))

    kept = await keep(state, change("device_registered", at=5, **device))

    assert [event.occurred_ms for event in address_events(kept.records)] == [NOON_MS + 5000]


@pytest.mark.parametrize(
    "since",
    [
        change("device_registered", device_id="phone", token="t2", platform="ios", at=5),
        change("device_removed", device_id="phone", at=5),
        change("recipient_deleted", at=5),
    ],
)
async def test_a_registration_that_comes_too_late_still_takes_the_token_from_whoever_had_it(
    since: Item[RecipientNews],
) -> None:
    state = MemoryState()
    await keep(state, since)
    before = profile_of(state)

    kept = await keep(
        state, change("device_registered", device_id="phone", token="t1", platform="ios", at=4)
    )

    assert profile_of(state) == before
    digest = address_hash(KEY, "push", "t1")
    assert address_events(kept.records) == [
        AddressClaimed(digest, "push", NOON_MS + 4000, 4, "ann", "phone"),
        AddressGivenUp(digest, "push", NOON_MS + 5000, 4, "ann", "phone"),
    ]


async def test_a_token_that_one_import_gives_to_another_device_is_kept() -> None:
    state = MemoryState()
    await keep(state, change("device_registered", device_id="a", token="t1", platform="ios"))

    devices = (ImportedDevice("a", "t2", "ios"), ImportedDevice("b", "t1", "ios"))
    kept = await keep(state, imported(devices=devices, at=5))

    assert [each.token for each in profile_of(state).devices] == ["t2", "t1"]
    digest = address_hash(KEY, "push", "t1")
    moves = [type(each) for each in address_events(kept.records) if each.address_hash == digest]
    assert moves == [AddressGivenUp, AddressClaimed]


async def test_a_removal_older_than_the_registration_is_ignored_and_the_other_way_round() -> None:
    state = MemoryState()
    device = {"device_id": "phone", "token": "t1", "platform": "ios"}

    await keep(
        state,
        change("device_registered", at=5, **device),
        change("device_removed", device_id="phone", at=4),
    )
    assert [each.device_id for each in profile_of(state).devices] == ["phone"]

    await keep(
        state,
        change("device_removed", device_id="phone", at=7),
        change("device_registered", at=6, **device),
    )
    assert profile_of(state).devices == ()


async def test_the_same_token_under_a_new_device_id_replaces_the_old_one() -> None:
    state = MemoryState()

    await keep(
        state,
        change("device_registered", device_id="old", token="t1", platform="ios"),
        change("device_registered", device_id="new", token="t1", platform="ios", at=1),
    )

    assert [each.device_id for each in profile_of(state).devices] == ["new"]


async def test_a_token_that_went_to_another_holder_is_removed_unless_registered_since() -> None:
    state = MemoryState()
    device = {"device_id": "phone", "token": "t1", "platform": "ios"}
    lost = address_hash(KEY, "push", "t1")
    await keep(state, change("device_registered", at=5, **device))

    await keep(state, Item([DeviceLost("ann", NOON_MS + 4000, "phone", lost, "taken_over")]))
    assert len(profile_of(state).devices) == 1

    await keep(state, Item([DeviceLost("ann", NOON_MS + 6000, "phone", lost, "taken_over")]))
    assert profile_of(state).devices == ()

    await keep(state, change("device_registered", at=8, **device))
    assert len(profile_of(state).devices) == 1


async def test_a_dead_token_does_not_take_the_devices_new_token_with_it() -> None:
    state = MemoryState()
    await keep(
        state, change("device_registered", device_id="phone", token="t2", platform="ios", at=1)
    )

    dead = address_hash(KEY, "push", "t1")
    await keep(state, Item([DeviceLost("ann", NOON_MS + 9000, "phone", dead, "unregistered")]))

    assert [each.token for each in profile_of(state).devices] == ["t2"]


async def test_an_import_does_not_bring_back_a_token_that_went_to_another_holder() -> None:
    state = MemoryState()
    devices = (ImportedDevice("phone", "t1", "ios"),)
    await keep(state, imported(devices=devices))
    lost = address_hash(KEY, "push", "t1")
    await keep(state, Item([DeviceLost("ann", NOON_MS + 1000, "phone", lost, "taken_over")]))

    kept = await keep(state, imported(at=60, devices=devices))

    assert profile_of(state).devices == ()
    assert address_events(kept.records) == []


async def test_an_older_registration_does_not_take_the_token_from_a_newer_device_id() -> None:
    state = MemoryState()

    await keep(
        state,
        change("device_registered", device_id="new", token="t1", platform="ios", at=5),
        change("device_registered", device_id="old", token="t1", platform="ios", at=1),
    )

    assert [each.device_id for each in profile_of(state).devices] == ["new"]
