"""Who has a device token, after registrations that overtake each other and those of one instant."""

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from agents.keep_addresses import KeepAddresses
from agents.keep_recipients import KeepRecipients
from agents.stage import Item, Stage
from schemas.ids import address_hash
from schemas.kafka import Record
from schemas.recipient_events import decode_address_events, decode_derived
from schemas.topics import ADDRESSES_CHANGED
from tables import addresses
from tests.doubles import BatchOf, MemoryState, drive
from tests.unit.agents.recipient_records import KEY, change, profile_of

NOW_MS = 1_772_366_400_000
PARTITIONS = 4
TOKEN = address_hash(KEY, "push", "token")
USERS = ("ann", "bob", "cid")


class Town:
    """Each user, and the token, in a partition of their own, whose turn comes at random."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._of_addresses = MemoryState()
        self._of_users = {user: MemoryState() for user in USERS}
        self._claims = deque[Item[Any]]()
        self._said = {user: deque[Item[Any]]() for user in USERS}
        self._heard = {user: deque[Item[Any]]() for user in USERS}
        self._keep_addresses = KeepAddresses(partitions=PARTITIONS)
        self._keep_recipients = KeepRecipients(partitions=PARTITIONS, address_key=KEY)

    def register(self, user: str, *, at: int) -> None:
        device = {"device_id": f"{user}'s", "token": "token", "platform": "ios"}
        said = self._said[user]
        said.append(change("device_registered", user, at=at, offset=len(said), **device))

    async def rest(self) -> None:
        while ready := [each for each in self._queues() if each[0]]:
            queue, stage, state = self._random.choice(ready)
            batch = BatchOf([queue.popleft()], NOW_MS, state)
            for record in (await drive(stage, batch)).records:
                self._bring(record)

    @property
    def holder(self) -> str:
        (address,) = addresses.get_many(self._of_addresses, [TOKEN])
        (holder,) = address.holders
        return holder.user_id

    def knows_the_device(self, user: str) -> bool:
        return bool(profile_of(self._of_users[user], user).devices)

    def _queues(self) -> Iterator[tuple[deque[Item[Any]], Stage[Any], MemoryState]]:
        yield self._claims, self._keep_addresses, self._of_addresses
        for user, state in self._of_users.items():
            yield self._said[user], self._keep_recipients, state
            yield self._heard[user], self._keep_recipients, state

    def _bring(self, record: Record) -> None:
        assert record.value is not None
        if record.topic == ADDRESSES_CHANGED:
            self._claims.append(Item(decode_address_events(record.value)))
        else:
            for fact in decode_derived(record.value):
                self._heard[fact.user_id].append(Item([fact]))


@pytest.mark.parametrize("seed", range(200))
async def test_a_phone_that_changed_hands_within_an_instant_has_one_holder_who_knows_of_it(
    seed: int,
) -> None:
    town, instants = Town(seed), random.Random(seed)
    for user in instants.choices(USERS, k=6):
        town.register(user, at=instants.randrange(3))
    for user in USERS:
        town.register(user, at=2)

    await town.rest()

    assert [user for user in USERS if town.knows_the_device(user)] == [town.holder]
