"""The terms of the loss equations, from receipts and rows made by hand."""

import itertools
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.receipt_merge import RANKS, fold
from schemas import ids
from schemas.delivery import Body, DeliveryBatch, Target, encode_batch
from schemas.forwarding import Origin
from schemas.kafka import InboundRecord
from schemas.receipt import FINAL_STATUSES, Receipt, Status
from streams.reconcile.deliveries import Deliveries, Standing
from streams.reconcile.identify import identify_broadcast, identify_request
from streams.reconcile.report import Reconciliation
from streams.reconcile.requests import Fate, Requests
from streams.reconcile.whereabouts import Rows
from tables import bodies, parked, waiting
from tables.send_schedule import SCHEDULES
from tables.waiting import Waiter, Waiting

TOPIC = "notifications.requested"
DELIVERY = b"d" * 16
MINUTE_MS = 60_000


def origin(offset: int, appended_ms: int = 0) -> Origin:
    return Origin(TOPIC, 0, offset, appended_ms)


def receipt(
    status: Status,
    *,
    second: int = 0,
    reason: str = "",
    round_number: int = 0,
    device_id: str = "",
    devices: int = 1,
    is_final: bool | None = None,
) -> Receipt:
    at = datetime(2026, 3, 1, 12, 0, second, tzinfo=UTC).isoformat()
    return Receipt(
        receipt_id="", schema_version="1.0", notification_id="", user_id="ann", channel="push",
        type="t", status=status, reason=reason, round=round_number, device_id=device_id,
        device_count=devices, state_rank=RANKS[status],
        is_final=status in FINAL_STATUSES if is_final is None else is_final,
        occurred_at=at, recorded_at=at,
    )  # fmt: skip


def told_of(request_id: bytes, offset: int, status: str, reason: str = "") -> bytes:
    fact = ids.receipt_fact(status, reason=reason, detail=f"{TOPIC}:0:{offset}")
    return ids.receipt_id(request_id, fact)


class TestRequests:
    def test_a_request_is_lost_until_something_is_known_of_it(self) -> None:
        requests = Requests([TOPIC])
        for offset, fate in enumerate((Fate.LOST, Fate.WAITING, Fate.REJECTED)):
            requests.add(bytes([offset]) * 16, origin(offset), fate)

        assert requests.counts() == {Fate.LOST: 1, Fate.WAITING: 1, Fate.REJECTED: 1}
        assert list(requests.lost()) == [origin(0)]

    def test_each_repeat_of_a_key_is_told_by_its_own_receipt_in_whatever_order(self) -> None:
        key = b"k" * 16
        for order in itertools.permutations(range(1, 4)):
            requests = Requests([TOPIC])
            for offset in range(4):
                requests.add(key, origin(offset, MINUTE_MS * offset), Fate.LOST)
            delivery_id = ids.delivery_id(key, "sms", 0)
            assert requests.decided_as(key, key, "sms", delivery_id)
            for offset in order:
                status, reason = (
                    ("rejected", "idempotency_conflict") if offset == 3 else ("duplicate", "")
                )
                receipt_id = told_of(key, offset, status, reason)
                requests.refused(key, receipt_id, status, reason)

            assert requests.counts() == {Fate.DECIDED: 1, Fate.DUPLICATE: 2, Fate.CONFLICT: 1}

    def test_a_repeat_without_a_receipt_of_its_own_is_lost(self) -> None:
        key = b"k" * 16
        requests = Requests([TOPIC])
        requests.add(key, origin(0, 1), Fate.LOST)
        requests.add(key, origin(1, 2), Fate.LOST)
        requests.decided_as(key, key, "sms", ids.delivery_id(key, "sms", 1))

        assert list(requests.lost()) == [origin(1, 2)]

    def test_a_key_used_again_after_the_window_has_deliveries_of_its_own(self) -> None:
        key = b"k" * 16
        requests = Requests([TOPIC])
        requests.add(key, origin(9, 99), Fate.LOST)

        earlier = ids.delivery_id(key, "sms", 1)
        assert not requests.decided_as(key, key, "sms", earlier), "that of an earlier cohort"
        assert requests.decided_as(key, key, "sms", ids.delivery_id(key, "sms", 99))

    def test_a_record_put_back_counts_once_and_is_known_by_what_followed(self) -> None:
        key = b"k" * 16
        requests = Requests([TOPIC])
        requests.add(key, origin(5), Fate.REJECTED)
        requests.add_again(key, origin(5), Fate.LOST)
        requests.add_again(key, origin(6), Fate.LOST)
        requests.add_again(key, origin(6), Fate.WAITING)
        requests.decided_as(key, key, "sms", ids.delivery_id(key, "sms", 0))

        assert len(requests) == 2
        assert requests.counts() == {Fate.DECIDED: 2}


class TestDeliveries:
    def test_a_delivery_stands_as_its_latest_receipts_say(self) -> None:
        for told, standing in (
            ([receipt("queued")], Standing.IN_FLIGHT),
            ([receipt("deferred", reason="quiet_hours")], Standing.DEFERRED),
            ([receipt("deferred", reason="paused")], Standing.DEFERRED),
            (
                [receipt("deferred", reason="quiet_hours"), receipt("queued", second=9)],
                Standing.IN_FLIGHT,
            ),
            (
                [receipt("queued"), receipt("deferred", second=1, reason="server_error")],
                Standing.RETRYING,
            ),
            ([receipt("queued"), receipt("in_doubt", is_final=False)], Standing.RETRYING),
            ([receipt("in_doubt")], Standing.SETTLED),
            ([receipt("sent"), receipt("queued", second=9)], Standing.SETTLED),
            ([receipt("failed"), receipt("queued", round_number=1)], Standing.IN_FLIGHT),
        ):
            for order in itertools.permutations(told):
                deliveries = Deliveries()
                for each in order:
                    deliveries.note(DELIVERY, each)
                assert deliveries.counts() == {standing: 1}, told

    def test_a_delivery_to_devices_is_settled_when_one_has_it_or_all_failed(self) -> None:
        deliveries = Deliveries()
        deliveries.note(DELIVERY, receipt("deferred", reason="scheduled"))
        deliveries.note(DELIVERY, receipt("queued", second=1, devices=2))
        deliveries.note(DELIVERY, receipt("failed", second=2, device_id="a", devices=2))
        assert deliveries.counts() == {Standing.IN_FLIGHT: 1}
        assert [(key, each.standing) for key, each in deliveries.open()] == [
            (DELIVERY, Standing.IN_FLIGHT)
        ]

        deliveries.note(DELIVERY, receipt("failed", second=3, device_id="b", devices=2))
        assert deliveries.counts() == {Standing.SETTLED: 1}
        assert len(deliveries) == 1

    @given(
        st.lists(
            st.builds(
                receipt,
                st.sampled_from(list(RANKS)),
                second=st.integers(0, 3),
                reason=st.sampled_from(["", "paused", "timeout"]),
                round_number=st.integers(0, 1),
            ),
            min_size=1,
            max_size=6,
        )
    )
    def test_one_integer_says_as_much_as_the_whole_fold(self, told: list[Receipt]) -> None:
        deliveries, state = Deliveries(), fold(None, told)
        for each in told:
            deliveries.note(DELIVERY, each)

        assert state is not None
        is_settled = state.is_final or state.status in ("sent", "delivered")
        assert (deliveries.counts() == {Standing.SETTLED: 1}) == is_settled
        assert (deliveries.counts() == {Standing.IN_FLIGHT: 1}) == (state.status == "queued")


class TestRows:
    BODY = Body("t", "c", {}, 0, accepted_ms=7)

    def batch(self, *delivery_ids: bytes) -> bytes:
        targets = [Target("ann", b"n" * 16, each, "") for each in delivery_ids]
        return encode_batch(DeliveryBatch("sms", "bulk", [self.BODY], targets, 0))

    def test_a_senders_schedule_and_what_a_pause_holds_are_found(self) -> None:
        rows = Rows(is_sender=True, wanted={b"a", b"b", b"c"}, until=100)
        scheduled = SCHEDULES["bulk"].put(1, b"1", self.batch(b"a", b"x"))
        held = parked.put("channel:sms", b"2", b"")
        rows.note(scheduled.key, scheduled.value, 1)
        rows.note(held.key, self.batch(b"b"), 2)
        rows.note(b"i" + b"inbox", b"no batch", 3)

        assert rows.found() == {b"a", b"b"}

    def test_a_row_deleted_before_we_looked_holds_nothing_one_deleted_since_does(self) -> None:
        rows = Rows(is_sender=True, wanted={b"a", b"b"}, until=10)
        for key, delivery_id in ((b"s1", b"a"), (b"s2", b"b")):
            rows.note(key, self.batch(delivery_id), 1)
        rows.note(b"s1", None, 9)
        rows.note(b"s2", None, 10)

        assert rows.found() == {b"b"}

    def test_what_decide_holds_is_found_with_its_body_and_with_a_broadcasts(self) -> None:
        single, member = (ids.delivery_id(each * 16, "sms", 7) for each in (b"1", b"2"))
        rows = Rows(is_sender=False, wanted={single, member}, until=100)
        about = msgspec.structs.replace(self.BODY, broadcast_id=b"B" * 16)
        body_id = bodies.id_of(about)
        for row in (
            bodies.put(about),
            waiting.put(5, b"x", Waiting("bulk", "sms", [Waiter("a", b"1" * 16)], True, self.BODY)),
            waiting.put(
                6, b"y", Waiting("bulk", "sms", [Waiter("b", b"2" * 16)], True, body_id=body_id)
            ),
            waiting.put(7, b"z", waiting.ForgetBody(body_id)),
        ):
            rows.note(row.key, row.value, 1)

        assert rows.found() == {single, member}


class TestIdentity:
    @pytest.mark.parametrize(
        ("value", "headers"),
        [
            (b'{"user_id":"ann","type":"t","tenant":"shop","idempotency_key":"k"}', ()),
            # A key that only headers bring.
            (
                b'{"user_id":"ann","type":"t","tenant":"shop"}',
                (("ce_id", b"7"), ("ce_source", b"shop")),
            ),
            (b'{"user_id":"ann","type":"t","tenant":"shop","data":{}}', ()),
        ],
    )
    def test_a_request_has_the_id_that_its_receipts_name(
        self, value: bytes, headers: tuple[tuple[str, bytes], ...]
    ) -> None:
        record = InboundRecord(TOPIC, 1, 2, 3, None, value, headers)
        found = identify_request(record, Origin(TOPIC, 1, 2, 3))

        if headers:
            expected = ids.notification_id("shop", "ann", "ce:4:shop7")
        elif b"idempotency_key" in value:
            expected = ids.notification_id("shop", "ann", "k")
        else:
            expected = ids.notification_id_from_origin("ann", TOPIC, 1, 2, 3)
        assert found == (expected, "ann")

    def test_a_broadcast_has_one_from_its_key_or_its_origin(self) -> None:
        place = Origin(TOPIC, 1, 2, 3)
        keyed = InboundRecord(*place[:4], None, b'{"idempotency_key":"k"}')
        bare = InboundRecord(*place[:4], None, b"{}")

        assert identify_broadcast(keyed, place) == (ids.broadcast_id("", "k"), "")
        assert identify_broadcast(bare, place) == (ids.broadcast_id_from_origin(*place[:4]), "")

    def test_what_no_request_can_be_read_from_has_none(self) -> None:
        deep = b'{"data":' + b"[" * 9_000 + b"]" * 9_000 + b"}"
        for value in (
            None,
            b"",
            b"[]",
            b"{}",
            b'{"user_id":7}',
            b"\xff",
            b'{"user_id":"\xff"}',
            deep,
        ):
            record = InboundRecord(TOPIC, 1, 2, 3, None, value)
            assert identify_request(record, Origin(TOPIC, 1, 2, 3)) is None


def balance(**terms: int) -> Reconciliation:
    return Reconciliation(
        requests=terms.get("requests", 0),
        fates={Fate.DECIDED: terms.get("decided", 0), Fate.CONFLICT: terms.get("conflict", 0)},
        deliveries=terms.get("deliveries", 0),
        standings={Standing.SETTLED: terms.get("settled", 0)},
        overtaken=terms.get("overtaken", 0),
    )


def test_both_equations_hold_only_when_nothing_is_missing_or_overtaken() -> None:
    good = balance(requests=3, decided=2, conflict=1, deliveries=4, settled=4)
    assert good.holds
    assert good.rejected == 1
    assert good.lines()[-1] == "both equations hold"

    for bad in (
        balance(requests=3, decided=2),
        balance(deliveries=5, settled=4),
        balance(overtaken=1),
    ):
        assert not bad.holds
        assert bad.as_dict()["holds"] is False
        assert bad.lines()[-1] == "THE EQUATIONS DO NOT HOLD"
