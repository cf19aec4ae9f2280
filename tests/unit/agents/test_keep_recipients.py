"""What becomes of what is said about recipients."""

from typing import Any

import pytest

from agents.keep_recipients import KeepRecipients, RecipientNews
from agents.stage import Item
from schemas.ids import address_hash
from schemas.profile import Address, Word, unpack_words
from schemas.recipient_events import (
    AddressBarred,
    AddressClaimed,
    AddressGivenUp,
    AddressUnbarred,
    DerivedChange,
    HolderBarred,
    HolderUnbarred,
    ImportBatch,
    ImportedDevice,
    ImportedOptOut,
    ImportedRecipient,
    ImportedWish,
    decode_derived,
    decode_import,
)
from schemas.topics import RECIPIENTS_IMPORTED
from tables import memberships
from tests.doubles import BatchOf, MemoryState
from tests.unit.agents.recipient_records import (
    KEY,
    NOON_MS,
    address_events,
    change,
    derived,
    imported,
    keep,
    profile_of,
)


def words_of(state: MemoryState, user_id: str = "ann") -> dict[str, Word]:
    return unpack_words(profile_of(state, user_id).packed_words)


async def test_a_new_address_is_remembered_and_claimed() -> None:
    state = MemoryState()

    kept = await keep(state, change("recipient_updated", email="Ann@Example.com", at=3))

    digest = address_hash(KEY, "email", "Ann@example.com")
    assert profile_of(state).email == Address("Ann@example.com", digest, NOON_MS + 3000)
    assert words_of(state)["email"] == Word("user", NOON_MS + 3000)
    assert address_events(kept.records) == [
        AddressClaimed(digest, "email", NOON_MS + 3000, 3, "ann")
    ]


async def test_a_changed_address_is_given_up_and_its_suppression_forgotten() -> None:
    state = MemoryState()
    await keep(
        state,
        change("recipient_updated", phone="+15550100123"),
        change("address_suppressed", channel="sms", reason="stop", source="provider", at=1),
    )

    kept = await keep(state, change("recipient_updated", phone="+15550100124", at=2))

    assert [type(event) for event in address_events(kept.records)] == [
        AddressGivenUp, AddressClaimed,
    ]  # fmt: skip
    assert profile_of(state).suppressions == {}


async def test_a_member_set_to_null_is_taken_back() -> None:
    state = MemoryState()
    await keep(state, change("recipient_updated", email="ann@example.com", name="Ann"))

    await keep(state, change("recipient_updated", email=None, at=1))

    profile = profile_of(state)
    assert (profile.email, profile.name) == (None, "Ann")


@pytest.mark.parametrize(
    ("first", "second", "enabled"),
    [
        # A person's own word yields only to a newer one of theirs.
        (("user", 1, False), ("producer", 2, True), False),
        (("user", 1, False), ("user", 2, True), True),
        (("user", 2, False), ("user", 1, True), False),
        # It counts even when it arrives after a newer word of somebody else.
        (("producer", 2, True), ("user", 1, False), False),
        # Between others the newer word counts.
        (("producer", 1, False), ("producer", 2, True), True),
        (("producer", 2, False), ("provider", 1, True), False),
    ],
)
async def test_whose_word_counts(
    first: tuple[str, int, bool], second: tuple[str, int, bool], enabled: bool
) -> None:
    state = MemoryState()

    for source, at, wish in (first, second):
        preferences = {"email": {"enabled": wish}, "types": {"promotion": wish}}
        await keep(
            state, change("preferences_updated", source=source, at=at, preferences=preferences)
        )

    wishes = profile_of(state).wishes
    assert wishes.channels["email"].enabled is enabled
    assert wishes.types["promotion"] is enabled


async def test_an_import_never_undoes_a_persons_own_choice() -> None:
    state = MemoryState()
    await keep(
        state,
        change("preferences_updated", preferences={"sms": {"enabled": False}}),
        change("audience_left", audience="news"),
    )

    await keep(state, imported(at=60, wishes=(ImportedWish("sms", True),), audiences=("news",)))

    assert profile_of(state).wishes.channels["sms"].enabled is False
    assert words_of(state)["sms.enabled"] == Word("user", NOON_MS)
    assert memberships.page(state, "news", b"", 10).members == []


async def test_a_second_import_changes_nothing() -> None:
    state = MemoryState()
    line: dict[str, Any] = {
        "email": "ann@example.com", "phone": "+15550100123", "name": "Ann", "locale": "de",
        "timezone": "Europe/Berlin", "audiences": ("news",), "types": {"promotion": False},
        "wishes": (ImportedWish("email", False, "23:00-07:00", 3),),
        "devices": (ImportedDevice("phone", "token", "ios"),),
    }  # fmt: skip
    await keep(state, imported(**line))

    again = await keep(state, imported(at=60, **line))

    assert again.rows == []
    assert again.records == []


async def test_opt_outs_found_in_an_import_are_told_to_the_senders() -> None:
    state = MemoryState(partition=2)

    kept = await keep(
        state,
        imported(
            wishes=(ImportedWish("sms", False), ImportedWish("push", True)), types={"ad": False}
        ),
    )

    assert derived(kept.records) == [
        ImportedOptOut("ann", NOON_MS, "sms", ""),
        ImportedOptOut("ann", NOON_MS, "", "ad"),
    ]
    assert {record.partition for record in kept.records} == {2}


async def test_members_of_an_audience_are_found_in_order_and_those_who_left_are_not() -> None:
    state = MemoryState()

    await keep(
        state,
        change("audience_joined", "cid", audience="news"),
        change("audience_joined", "ann", audience="news"),
        change("audience_joined", "bob", audience="news"),
        change("audience_joined", "dan", audience="newsletter"),
        change("audience_left", "bob", audience="news", at=1),
        change("audience_joined", "bob", audience="news", at=0),
    )

    members = memberships.page(state, "news", b"", 10).members
    assert [member.user_id for member in members] == ["ann", "cid"]


@pytest.mark.parametrize("first", ["import", "user"])
@pytest.mark.parametrize("second", ["import", "producer"])
async def test_who_joins_again_after_a_deletion_is_a_member_since_then(
    first: str, second: str
) -> None:
    """Who joined before it is passed over by broadcasts."""
    state = MemoryState()

    def join(source: str, at: int) -> Item[Any]:
        if source == "import":
            return imported(at=at, name="Ann", audiences=("news",))
        return change("audience_joined", audience="news", source=source, at=at)

    await keep(state, join(first, 1), change("recipient_deleted", at=5))
    await keep(state, join(second, 9))

    members = memberships.page(state, "news", b"", 10).members
    assert members == [memberships.Member("ann", NOON_MS + 9000)]


async def test_who_left_before_a_deletion_is_not_brought_back_by_an_import() -> None:
    state = MemoryState()
    await keep(state, change("audience_left", audience="news", at=1))
    await keep(state, change("recipient_deleted", at=5))

    await keep(state, imported(at=9, name="Ann", audiences=("news",)))

    assert memberships.page(state, "news", b"", 10).members == []


async def test_a_suppression_bars_the_address_wherever_it_is_held() -> None:
    state = MemoryState()
    await keep(state, change("recipient_updated", phone="+15550100123"))
    number = address_hash(KEY, "sms", "+15550100123")

    kept = await keep(
        state,
        change("address_suppressed", channel="sms", reason="stop", source="provider", at=1),
        change("address_released", channel="sms", at=2),
    )

    assert address_events(kept.records) == [
        AddressBarred(number, "sms", NOON_MS + 1000, 1, "stop"),
        AddressUnbarred(number, "sms", NOON_MS + 2000, 2),
    ]
    assert profile_of(state).suppressions == {}


def bounce(at: int) -> Item[Any]:
    """Of a mail that was sent before."""
    said = {"channel": "email", "reason": "bounce", "source": "provider"}
    return change("address_suppressed", at=at, **said)


@pytest.mark.parametrize("is_imported", [True, False])
async def test_a_bounce_that_is_told_late_bars_no_address_that_was_said_after_it(
    is_imported: bool,
) -> None:
    """It would be barred for everybody who has it."""
    state = MemoryState()
    await keep(state, change("recipient_updated", email="old@example.com", source="producer", at=1))
    new: dict[str, Any] = {"email": "new@example.com", "at": 8}
    said = imported(**new) if is_imported else change("recipient_updated", **new)
    await keep(state, said)

    late = await keep(state, bounce(at=3))
    assert (profile_of(state).suppressions, address_events(late.records)) == ({}, [])

    await keep(state, bounce(at=9))
    assert profile_of(state).suppressions["email"].reason == "bounce"


async def test_a_release_that_is_told_late_lifts_no_bar_of_an_address_said_after_it() -> None:
    state = MemoryState()
    mailbox = address_hash(KEY, "email", "new@example.com")
    await keep(state, change("recipient_updated", email="new@example.com", at=8))
    await keep(state, Item([HolderBarred("ann", NOON_MS + 1, "email", mailbox, "complaint")]))

    late = await keep(state, change("address_released", channel="email", at=3))

    assert profile_of(state).suppressions["email"].reason == "complaint"
    assert address_events(late.records) == []


async def test_a_bounce_that_is_told_late_bars_an_address_that_was_said_again_since() -> None:
    state = MemoryState()
    for at in (1, 8):
        await keep(state, change("recipient_updated", email="ann@example.com", at=at))

    late = await keep(state, bounce(at=3))

    assert profile_of(state).suppressions["email"].reason == "bounce"
    assert len(address_events(late.records)) == 1


async def test_a_bar_found_elsewhere_counts_for_the_present_address_only() -> None:
    state = MemoryState()
    await keep(state, change("recipient_updated", phone="+15550100123"))
    present, former = (address_hash(KEY, "sms", f"+1555010012{digit}") for digit in (3, 9))

    await keep(state, Item([HolderBarred("ann", NOON_MS + 1, "sms", former, "stop")]))
    assert profile_of(state).suppressions == {}

    await keep(state, Item([HolderBarred("ann", NOON_MS + 1, "sms", present, "stop")]))
    assert profile_of(state).suppressions["sms"].reason == "stop"

    await keep(state, Item([HolderUnbarred("ann", NOON_MS + 2, "sms", present)]))
    assert profile_of(state).suppressions == {}


async def test_a_deleted_recipient_is_forgotten_but_for_what_they_turned_off_themselves() -> None:
    state = MemoryState()
    await keep(
        state,
        change("recipient_updated", email="ann@example.com", phone="+15550100123", name="Ann"),
        change("device_registered", device_id="phone", token="t1", platform="ios"),
        change(
            "preferences_updated",
            preferences={"email": {"enabled": False}, "push": {"enabled": True}},
        ),
    )

    kept = await keep(state, change("recipient_deleted", at=5))

    profile = profile_of(state)
    assert (profile.name, profile.email, profile.phone, profile.devices) == ("", None, None, ())
    assert list(profile.wishes.channels) == ["email"]
    events = address_events(kept.records)
    assert [event.channel for event in events] == ["email", "sms", "push"]
    assert all(isinstance(event, AddressGivenUp) for event in events)


async def test_what_was_said_before_a_deletion_is_not_brought_back_by_arriving_late() -> None:
    state = MemoryState()
    await keep(state, change("recipient_deleted", at=5))

    await keep(state, change("recipient_updated", name="Ann", at=4))
    assert profile_of(state).name == ""

    await keep(state, change("recipient_updated", name="Ann", at=6))
    assert profile_of(state).name == "Ann"


async def test_an_address_barred_before_a_deletion_is_barred_when_its_owner_is_back() -> None:
    """Mail to whoever complained, or a text to a number that said STOP, would go out again."""
    state = MemoryState()
    mailbox = address_hash(KEY, "email", "ann@example.com")
    bar = Item([HolderBarred("ann", NOON_MS + 2000, "email", mailbox, "complaint")])
    await keep(state, change("recipient_deleted", at=5))

    await keep(state, bar)
    assert profile_of(state).suppressions == {}, "there is nobody to be reached"

    await keep(state, change("recipient_updated", email="ann@example.com", at=9))
    await keep(state, bar)
    assert profile_of(state).suppressions["email"].reason == "complaint"

    await keep(state, Item([HolderUnbarred("ann", NOON_MS + 3000, "email", mailbox)]))
    assert profile_of(state).suppressions == {}


async def test_one_transaction_holds_about_a_thousand_recipients() -> None:
    state = MemoryState()
    lines = [ImportedRecipient(f"user-{n}", NOON_MS, name="N") for n in range(600)]
    batches = [Item(ImportBatch(lines[:]), offset=n) for n in range(5)]

    kept = await keep(state, *batches)

    assert [len(effects.done) for effects in kept.effects] == [2, 2, 1]


async def test_recipients_of_an_import_that_raises_are_tried_again_in_halves() -> None:
    lines = [ImportedRecipient(f"user-{n}", NOON_MS, name="N") for n in range(5)]
    item: Item[RecipientNews] = Item(ImportBatch(lines, "shop"))
    stage = KeepRecipients(partitions=4, address_key=KEY)

    owed = stage.give_up(BatchOf([item], NOON_MS, MemoryState(3)), item, "ValueError")

    assert list(owed.done) == [item], "it goes on, so it is no dead letter"
    assert {(each.topic, each.partition) for each in owed.records} == {(RECIPIENTS_IMPORTED, 3)}
    parts = [decode_import(each.value or b"") for each in owed.records]
    assert [len(part.items) for part in parts] == [2, 3]
    assert [line for part in parts for line in part.items] == lines
    assert {part.tenant for part in parts} == {"shop"}


async def test_the_one_recipient_who_raises_alone_is_a_dead_letter() -> None:
    item: Item[RecipientNews] = Item(imported().value)
    stage = KeepRecipients(partitions=4, address_key=KEY)

    owed = stage.give_up(BatchOf([item], NOON_MS, MemoryState()), item, "ValueError")

    assert not owed.done
    assert not owed.records


async def test_derived_facts_of_a_record_that_raises_are_said_again_in_halves() -> None:
    facts: list[DerivedChange] = [ImportedOptOut(name, 1, channel="sms") for name in ("ann", "bob")]
    item: Item[RecipientNews] = Item(facts)
    stage = KeepRecipients(partitions=4, address_key=KEY)

    owed = stage.give_up(BatchOf([item], NOON_MS, MemoryState()), item, "ValueError")

    assert list(owed.done) == [item]
    assert [decode_derived(each.value or b"") for each in owed.records] == [[f] for f in facts]
