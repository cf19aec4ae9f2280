"""In-app deliveries: the stored message is the acceptance."""

import msgspec
import pytest

from agents.keep_inbox import KeepInbox
from agents.receipts import ReceiptWriter
from agents.settlement import Terms
from agents.stage import Item
from channels.rendering import Rendering
from policies.clock import ManualClock
from policies.stops import StopList
from schemas.delivery import DeliveryBatch
from schemas.receipt import Receipt, decode_receipt
from schemas.topics import DEAD_LETTERS, RECEIPTS
from tables import inbox
from tables.inbox import Message
from tests.doubles import BatchOf, Driven, MemoryState, drive
from tests.unit.agents.desk import NOW_MS, RULES, batch_of, body_of


class Inboxes:
    """A role-partition of `in_app` in memory."""

    def __init__(self, rendering: Rendering) -> None:
        self.state = MemoryState()
        self.stops = StopList(RULES)
        terms = Terms(
            RULES, self.stops, ReceiptWriter(partitions=4), 4, lambda provider, reason: None
        )
        self.clock = ManualClock(NOW_MS)
        self.stage = KeepInbox(rendering=rendering, terms=terms, clock=self.clock)

    async def keep(self, *batches: DeliveryBatch, now_ms: int = NOW_MS) -> Driven:
        items = [Item(batch, "deliveries.in_app.normal", 0, 1) for batch in batches]
        return await drive(self.stage, BatchOf(items, now_ms, self.state))

    def of(self, user_id: str, now_ms: int = NOW_MS) -> list[Message]:
        return inbox.read(self.state, user_id, now_ms)


@pytest.fixture
def inboxes(rendering: Rendering) -> Inboxes:
    return Inboxes(rendering)


def receipts(driven: Driven) -> list[Receipt]:
    return [decode_receipt(record.value or b"") for record in driven.records_of(RECEIPTS)]


async def test_a_delivery_is_kept_for_its_user_and_told_as_sent(inboxes: Inboxes) -> None:
    driven = await inboxes.keep(batch_of("ann", "bob", channel="in_app"))

    (message,) = inboxes.of("ann")
    assert (message.title, message.text) == ("News", "It is fine.")
    assert [(r.user_id, r.status, r.provider) for r in receipts(driven)] == [
        ("ann", "sent", "inbox"), ("bob", "sent", "inbox")
    ]  # fmt: skip


async def test_a_full_inbox_loses_its_oldest(inboxes: Inboxes) -> None:
    for number in range(inbox.CAPACITY + 5):
        batch = batch_of("ann", channel="in_app")
        target = msgspec.structs.replace(batch.targets[0], delivery_id=number.to_bytes(16, "big"))
        await inboxes.keep(msgspec.structs.replace(batch, targets=[target]))

    numbers = [int.from_bytes(message.delivery_id, "big") for message in inboxes.of("ann")]
    assert numbers == list(range(inbox.CAPACITY + 4, 4, -1))


async def test_a_message_past_its_expiry_is_not_shown(inboxes: Inboxes) -> None:
    await inboxes.keep(batch_of("ann", channel="in_app", body=body_of(ttl_ms=1000)))

    assert len(inboxes.of("ann", NOW_MS + 999)) == 1
    assert inboxes.of("ann", NOW_MS + 1000) == []


async def test_what_expires_while_those_before_it_are_committed_is_not_kept(
    inboxes: Inboxes,
) -> None:
    items = [
        Item(
            batch_of(user, channel="in_app", body=body_of(ttl_ms=1000)), "deliveries.in_app.normal"
        )
        for user in ("ann", "bob")
    ]
    told = []
    async for effects in inboxes.stage.handle(BatchOf(items, NOW_MS, inboxes.state)):
        told += [decode_receipt(record.value or b"").status for record in effects.records]
        inboxes.clock.advance(ms=1000)

    assert told == ["sent", "expired"]


async def test_the_same_round_read_twice_is_kept_once(inboxes: Inboxes) -> None:
    batch = batch_of("ann", channel="in_app")

    await inboxes.keep(batch, batch)
    await inboxes.keep(batch)

    assert len(inboxes.of("ann")) == 1


async def test_two_messages_of_one_batch_for_one_user_are_both_kept(inboxes: Inboxes) -> None:
    batch = batch_of("ann", "ann", channel="in_app")
    second = msgspec.structs.replace(batch.targets[1], delivery_id=b"2" * 16)

    await inboxes.keep(msgspec.structs.replace(batch, targets=[batch.targets[0], second]))

    assert len(inboxes.of("ann")) == 2


async def test_one_users_inbox_does_not_show_in_that_of_a_user_with_a_longer_name(
    inboxes: Inboxes,
) -> None:
    await inboxes.keep(batch_of("ann", "anna", channel="in_app"))

    assert len(inboxes.of("ann")) == len(inboxes.of("anna")) == 1


async def test_stops_and_templates_settle_as_for_any_channel(inboxes: Inboxes) -> None:
    inboxes.stops.note_choice(
        "ann", False, channel="in_app", source="user", occurred_ms=NOW_MS, appended_ms=NOW_MS
    )

    driven = await inboxes.keep(
        batch_of("ann", channel="in_app"), batch_of("bob", channel="in_app", body=body_of("code"))
    )

    assert [(r.user_id, r.status, r.reason) for r in receipts(driven)] == [
        ("ann", "suppressed", "opted_out_channel"), ("bob", "failed", "template_error")
    ]  # fmt: skip
    assert len(driven.records_of(DEAD_LETTERS)) == 1
    assert inboxes.of("ann") == inboxes.of("bob") == []
