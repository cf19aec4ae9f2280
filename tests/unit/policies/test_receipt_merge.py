"""The fold of receipts: any order and any repetition lead to the same state."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import receipt_merge
from policies.receipt_merge import DeliveryState, fold, merge, state_of, state_rank
from schemas.receipt import FINAL_STATUSES, Receipt, Status

FOLD_SQL = Path(receipt_merge.__file__).with_name("receipt_fold.sql").read_text()


def receipt(
    status: Status,
    at: int = 0,
    *,
    reason: str = "",
    round_: int = 0,
    attempt: int = 0,
    device: str = "",
    devices: int = 1,
    is_final: bool | None = None,
) -> Receipt:
    instant = f"2026-01-01T00:00:{at:02d}.000Z"
    return Receipt(
        receipt_id="", schema_version="1.0", notification_id="n", delivery_id="d", user_id="u",
        type="t", channel="push", status=status, state_rank=state_rank(status), reason=reason,
        is_final=status in FINAL_STATUSES if is_final is None else is_final, round=round_,
        attempt=attempt, device_id=device, device_count=devices, occurred_at=instant,
        recorded_at=instant,
    )  # fmt: skip


def folded(*receipts: Receipt) -> DeliveryState:
    state = fold(None, receipts)
    assert state is not None
    return state


CASES: list[tuple[str, list[Receipt], str]] = [
    ("a late queued does not take back sent", [receipt("sent", 2), receipt("queued", 9)], "sent"),
    ("released after it was deferred", [receipt("deferred", 1), receipt("queued", 2)], "queued"),
    ("deferred after it was queued", [receipt("deferred", 2), receipt("queued", 1)], "deferred"),
    ("delivered before sent is heard of", [receipt("delivered", 3), receipt("sent", 2)], "delivered"),
    ("returned after it was taken", [receipt("delivered", 3), receipt("bounced", 4)], "bounced"),
    ("bounced is not undone by an older delivered", [receipt("bounced", 4), receipt("delivered", 3)],
     "bounced"),
    ("a report settles a doubt", [receipt("in_doubt", 1), receipt("delivered", 2)], "delivered"),
    ("a second attempt settles a doubt", [receipt("in_doubt", 1), receipt("sent", 2)], "sent"),
    ("the higher round hides a failure", [receipt("failed", 1), receipt("queued", 5, round_=1)],
     "queued"),
    ("the higher round hides even a success",
     [receipt("failed", 5, round_=1), receipt("delivered", 6)], "failed"),
    ("one device is enough",
     [receipt("failed", 2, device="a", devices=2), receipt("sent", 1, device="b", devices=2)],
     "sent"),
    ("one device failed, one is still open",
     [receipt("queued", 0, devices=2), receipt("failed", 1, device="a", devices=2)], "queued"),
    ("one device failed, nothing is known of the other",
     [receipt("failed", 1, device="a", devices=2)], "queued"),
    ("all devices failed",
     [receipt("queued", 0, devices=2), receipt("failed", 1, device="a", devices=2),
      receipt("failed", 1, device="b", devices=2)], "failed"),
    ("one device gone, the other failed",
     [receipt("suppressed", 1, device="a", devices=2), receipt("failed", 1, device="b", devices=2)],
     "failed"),
    ("one device in doubt, the other failed: it may have arrived",
     [receipt("in_doubt", 1, device="a", devices=2), receipt("failed", 1, device="b", devices=2)],
     "in_doubt"),
    ("refused as a whole", [receipt("suppressed", 0, devices=3)], "suppressed"),
]  # fmt: skip


@pytest.mark.parametrize(("receipts", "status"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_receipts_fold_to_the_status_in_both_orders(receipts: list[Receipt], status: str) -> None:
    assert folded(*receipts).status == status
    assert folded(*reversed(receipts)).status == status


def test_state_tells_the_first_times_and_the_attempts() -> None:
    state = folded(
        receipt("sent", 7, attempt=3),
        receipt("sent", 5, attempt=2),
        receipt("delivered", 9, attempt=2),
        receipt("queued", 1),
    )

    assert (state.attempts, state.queued_at[-7:-1]) == (3, "01.000")
    assert (state.sent_at[-7:-1], state.delivered_at[-7:-1]) == ("05.000", "09.000")


def test_state_remembers_that_a_delivery_was_in_doubt() -> None:
    assert folded(receipt("in_doubt", 1), receipt("sent", 2)).was_in_doubt


def test_state_gives_the_reasons_of_its_devices() -> None:
    state = folded(
        receipt("suppressed", 1, reason="address_gone", device="a", devices=2),
        receipt("failed", 1, reason="rejected_by_provider", device="b", devices=2),
    )

    assert state.reason == "rejected_by_provider"
    assert state.reasons == ("address_gone", "rejected_by_provider")


@pytest.mark.parametrize("kind", ["engagement", "request"])
def test_other_kinds_of_receipts_say_nothing_of_the_state(kind: str) -> None:
    fact = receipt("rejected", 1)
    other = Receipt(**{**{f: getattr(fact, f) for f in fact.__struct_fields__}, "kind": kind})

    assert fold(None, [other]) is None
    assert folded(receipt("sent", 2), other).status == "sent"


def test_state_survives_encoding() -> None:
    state = folded(receipt("sent", 2, device="a"), receipt("queued", 1))

    assert receipt_merge.decode_state(receipt_merge.encode_state(state)) == state


statuses: list[Status] = list(receipt_merge.RANKS)
receipts_of_one_delivery = st.lists(
    st.builds(
        receipt,
        st.sampled_from(statuses),
        st.integers(0, 3),
        reason=st.sampled_from(["", "a", "b"]),
        round_=st.integers(0, 1),
        attempt=st.integers(0, 3),
        device=st.sampled_from(["", "x", "y"]),
        devices=st.integers(1, 3),
        is_final=st.none() | st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@given(receipts_of_one_delivery, st.data())
def test_order_and_repetition_do_not_change_the_state(
    receipts: list[Receipt], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(receipts)))
    shuffled = data.draw(st.permutations([*receipts, *again]))

    state = folded(*shuffled)

    assert state == folded(*receipts)
    assert state.status in statuses


@given(receipts_of_one_delivery, receipts_of_one_delivery, receipts_of_one_delivery)
def test_merging_is_a_join(one: list[Receipt], two: list[Receipt], three: list[Receipt]) -> None:
    a, b, c = folded(*one), folded(*two), folded(*three)

    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a


@given(receipts_of_one_delivery)
def test_a_state_that_includes_a_receipt_does_not_change_by_it(receipts: list[Receipt]) -> None:
    state = folded(*receipts)

    for each in receipts:
        news = state_of(each)
        assert news is not None
        assert merge(state, news) == state


COLUMNS = (
    "kind", "delivery_id", "device_id", "device_count", "round", "attempt", "status", "state_rank",
    "is_final", "reason", "provider", "provider_code", "provider_message_id", "occurred_at",
)  # fmt: skip


@settings(max_examples=8, deadline=None)
@given(st.lists(receipts_of_one_delivery, min_size=20, max_size=60))
def test_the_published_sql_folds_alike(deliveries: list[list[Receipt]]) -> None:
    """Many deliveries at once, since a query costs more than a fold."""
    rows = [
        tuple(str(number) if name == "delivery_id" else getattr(each, name) for name in COLUMNS)
        for number, receipts in enumerate(deliveries)
        for each in receipts
    ]
    with duckdb.connect() as database:
        types = dict.fromkeys(("device_count", "round", "attempt", "state_rank"), "INTEGER")
        types["is_final"] = "BOOLEAN"
        columns = ", ".join(f"{name} {types.get(name, 'VARCHAR')}" for name in COLUMNS)
        database.execute(f"CREATE TABLE receipts ({columns})")
        marks = ", ".join("?" * len(COLUMNS))
        values = ", ".join([f"({marks})"] * len(rows))
        database.execute(
            f"INSERT INTO receipts VALUES {values}", [member for row in rows for member in row]
        )
        found = {row[0]: row[1:] for row in database.execute(FOLD_SQL).fetchall()}

    for number, receipts in enumerate(deliveries):
        state = folded(*receipts)
        assert found[str(number)] == (
            state.round, state.status, state.reason, state.is_final, state.attempts,
            state.queued_at, state.sent_at, state.delivered_at, state.was_in_doubt,
        )  # fmt: skip
