"""Receipts become rows: whatever the order and the batches, the rows say what the fold says."""

from collections import Counter, defaultdict
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agents.facts import Fact
from agents.receipts import ReceiptWriter
from policies.receipt_merge import fold
from schemas import ids
from schemas.delivery import Body, Target
from schemas.receipt import Receipt, decode_receipt
from streams.lookup import rows, showing
from streams.lookup.finding import Found
from streams.lookup.folding import Folding, Read
from streams.lookup.stored import Stored, stored
from tables.store import LocalStore, StoreBudget

NOW_MS = 1_772_366_400_000
BROADCAST = ids.broadcast_id("", "spring")
FACTS = (
    Fact("queued"),
    Fact("deferred", "paused"),
    Fact("deferred", "timeout", attempt=1),
    Fact("in_doubt", "timeout", attempt=2),
    Fact("failed", "address_invalid", attempt=1),
    Fact("sent", attempt=2, provider="fcm"),
    Fact("queued", round_number=1),
)
WRITER = ReceiptWriter(partitions=1)


def told(user_id: str, fact: Fact, *, second: int = 0, device_id: str = "") -> bytes:
    notification_id = ids.member_notification_id(BROADCAST, user_id, ids.user_hash(user_id))
    delivery_id = ids.delivery_id(notification_id, "push", 0)
    target = Target(user_id, notification_id, delivery_id, "", device_id=device_id, device_count=2)
    body = Body("t", "c", {}, 0, broadcast_id=BROADCAST)
    value = WRITER.at(NOW_MS + 1000 * second).target(fact, body, "push", target).value
    assert value is not None
    return value


def read(*values: bytes) -> list[Read]:
    return [Read(value, NOW_MS) for value in values]


RECEIPTS = st.lists(
    st.builds(
        told,
        st.sampled_from(["ann", "bob", "cid"]),
        st.sampled_from(FACTS),
        second=st.integers(0, 2),
        device_id=st.sampled_from(["", "phone", "tablet"]),
    ),
    max_size=20,
)


@given(RECEIPTS, st.data())
def test_rows_say_what_the_fold_says_whatever_the_batches(
    values: list[bytes], data: st.DataObject
) -> None:
    store = Stored(None)
    done = 0
    while done < len(values):
        size = data.draw(st.integers(1, len(values)))
        Folding(store).take(read(*values[done : done + size]), done)
        done += size

    by_notification: defaultdict[str, list[Receipt]] = defaultdict(list)
    for receipt in map(decode_receipt, values):
        by_notification[receipt.notification_id].append(receipt)
    expected = {each: fold(None, receipts) for each, receipts in by_notification.items()}
    for text, state in expected.items():
        (delivery,) = rows.deliveries_of(store, ids.from_text(text)).values()
        assert delivery.state == state
    statuses = Counter(("push", state.status) for state in expected.values() if state)
    assert rows.counts_of(store, BROADCAST) == statuses


def test_a_users_history_is_newest_first_and_of_that_user_only() -> None:
    store = Stored(None)
    body = Body("t", "c", {}, 0)
    made = []
    for second, user_id in enumerate(("ann", "ann", "annika", "ann")):
        notification_id = ids.notification_id("", user_id, f"key-{second}")
        made.append(notification_id)
        delivery_id = ids.delivery_id(notification_id, "email", 0)
        record = WRITER.at(NOW_MS + 1000 * second).delivery(
            FACTS[0], body, "email", user_id, notification_id, delivery_id
        )
        Folding(store).take(read(record.value or b""), second)

    history = rows.history_of(store, "ann", 2)

    assert [each.notification_id for each in history] == [made[3], made[1]]
    assert history[0].instant_ms == NOW_MS + 3000


def test_a_repeat_of_a_request_is_a_remark_and_changes_nothing() -> None:
    store = Stored(None)
    value = told("ann", FACTS[5])
    notification_id = ids.from_text(decode_receipt(value).notification_id)
    repeat = WRITER.at(NOW_MS).request(
        "duplicate", "", user_id="ann", request_id=notification_id, type_name="t", origin="a:0:1"
    )
    Folding(store).take(read(value, repeat.value or b"", b"not a receipt"), 0)

    found = Found(
        deliveries=rows.deliveries_of(store, notification_id),
        remarks=rows.remarks_of(store, notification_id),
    )

    assert [each["state"] for each in showing.table(found)] == ["sent"]
    assert [each.status for each in found.remarks] == ["duplicate"]
    assert len(rows.history_of(store, "ann", 9)) == 1


def test_what_was_in_doubt_and_then_sent_is_shown_with_a_note() -> None:
    store = Stored(None)
    doubted = told("ann", FACTS[3])
    notification_id = ids.from_text(decode_receipt(doubted).notification_id)

    Folding(store).take(read(doubted), 0)
    (doubtful,) = showing.table(Found(rows.deliveries_of(store, notification_id)))
    Folding(store).take(read(told("ann", FACTS[5], second=1)), 1)
    (sent,) = showing.table(Found(rows.deliveries_of(store, notification_id)))

    assert (doubtful["state"], doubtful["note"]) == ("in_doubt", "")
    assert (sent["state"], sent["note"]) == ("sent", "may have been sent more than once")


def test_rows_are_seen_beside_the_process_that_writes_them(tmp_path: Path) -> None:
    budget = StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=1 << 20)
    store = LocalStore(tmp_path / "lookup" / "0", budget)
    value = told("ann", FACTS[0])
    notification_id = ids.from_text(decode_receipt(value).notification_id)
    Folding(store).take(read(value), 41)

    with stored(tmp_path, 0) as beside, stored(tmp_path, 1) as nobodys:
        assert beside.offset == 41
        assert len(rows.deliveries_of(beside, notification_id)) == 1
        Folding(beside).take(read(told("ann", FACTS[5], second=1)), 42)
        (ours,) = rows.deliveries_of(beside, notification_id).values()
        assert nobodys.offset is None
        assert not rows.deliveries_of(nobodys, notification_id)

    (kept,) = rows.deliveries_of(store, notification_id).values()
    assert (ours.state.status, kept.state.status) == ("sent", "queued")
    store.close()
