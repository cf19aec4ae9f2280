import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import ids
from schemas.notification import BroadcastRequest, Cancellation, Control, NotificationRequest
from tests.unit.schemas.inbound import request

APPENDED_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z
NOTIFICATION = ids.notification_id("", "ann", "key")

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text("abc", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def parsed(**changes: Any) -> NotificationRequest:
    return NotificationRequest.model_validate_json(json.dumps(request(**changes)))


def wrong_fields(model: Any, value: dict[str, Any]) -> list[str]:
    """Paths of the fields that are refused."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(json.dumps(value))
    return [".".join(str(part) for part in error["loc"]) for error in refused.value.errors()]


def test_two_fields_are_enough_for_a_request() -> None:
    asked = parsed()

    assert (asked.user_id, asked.type, asked.data, asked.channels) == (
        "ann",
        "order_confirmed",
        {},
        None,
    )


def test_null_stands_for_an_absent_optional_field() -> None:
    optional = dict.fromkeys(
        ("channels", "idempotency_key", "tenant", "requested_at", "send_at", "expires_at",
         "ttl_seconds", "priority", "collapse_key", "recipient")
    )  # fmt: skip

    assert parsed(**optional) == parsed()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", ""), ("user_id", "a" * 129), ("user_id", "an n"), ("user_id", "ann\n"),
        ("user_id", "a\u0000n"), ("user_id", "a\u200bn"), ("user_id", 7), ("user_id", None),
        ("type", ""), ("type", 1),
        ("channels", []), ("channels", ["fax"]), ("channels", ["sms", "sms"]), ("channels", "sms"),
        ("data", []), ("data", "text"), ("data", None),
        ("idempotency_key", ""), ("idempotency_key", "k" * 256), ("idempotency_key", 12),
        ("tenant", ""),
        ("requested_at", "2026-03-01T12:00:00"), ("send_at", "2026-03-01"),
        ("expires_at", 1_772_366_400), ("expires_at", "1772366400"),
        ("expires_at", "0001-01-01T00:00:00+14:00"), ("send_at", "9999-12-31T23:59:59-10:00"),
        ("ttl_seconds", 0), ("ttl_seconds", -5), ("ttl_seconds", 1.5), ("ttl_seconds", "60"),
        ("priority", "urgent"),
        ("collapse_key", "k" * 65), ("collapse_key", "schlüssel"), ("collapse_key", "a b"),
        ("metadata", {"trace": "x" * 1024}), ("metadata", []),
        ("idempotencykey", "typo"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_by_its_name(field: str, value: Any) -> None:
    assert {
        path.split(".")[0] for path in wrong_fields(NotificationRequest, request(**{field: value}))
    } == {field}


@pytest.mark.parametrize("user_id", ["a" * 128, "ann@example.com", "ユーザー", "550e8400-e29b"])
def test_user_ids_are_any_visible_characters(user_id: str) -> None:
    assert parsed(user_id=user_id).user_id == user_id


@pytest.mark.parametrize(
    "data",
    [
        {"text": "a\u0000b"}, {"lines": [{"a\u0000b": 1}]}, {"n": float("nan")},
        {"n": float("-inf")}, {"n": 2**63}, {"n": -(2**63) - 1}, {"a": {"b": [2**70]}},
    ],
)  # fmt: skip
def test_data_that_could_not_be_stored_or_sent_is_refused(data: dict[str, Any]) -> None:
    assert wrong_fields(NotificationRequest, request(data=data)) == ["data"]


def test_data_may_be_sixteen_levels_deep() -> None:
    fitting: Any = "leaf"
    for _ in range(15):
        fitting = [fitting]

    assert parsed(data={"a": fitting}).data == {"a": fitting}
    assert wrong_fields(NotificationRequest, request(data={"a": [fitting]})) == ["data"]


def test_metadata_is_flat() -> None:
    flat = {"text": "a", "count": 1, "share": 0.5, "flag": True, "none": None}

    assert parsed(metadata=flat).metadata == flat
    assert {path.split(".")[1] for path in wrong_fields(
        NotificationRequest, request(metadata={"deep": {"a": 1}})
    )} == {"deep"}  # fmt: skip


def test_both_forms_of_an_expiry_are_refused_together() -> None:
    both = request(expires_at="2026-03-01T12:00:00Z", ttl_seconds=60)

    assert wrong_fields(NotificationRequest, both) == [""]


def test_a_ttl_counts_from_the_producers_time_or_else_from_the_records() -> None:
    assert parsed().expires_ms(APPENDED_MS) is None
    assert parsed(ttl_seconds=60).expires_ms(APPENDED_MS) == APPENDED_MS + 60_000
    assert (
        parsed(ttl_seconds=60, requested_at="2026-03-01T12:00:10.5+01:00").expires_ms(APPENDED_MS)
        == APPENDED_MS - 3_600_000 + 70_500
    )
    assert parsed(expires_at="2026-03-01T12:00:01Z").expires_ms(0) == APPENDED_MS + 1_000
    assert parsed(send_at="2026-03-01T12:00:02Z").send_ms() == APPENDED_MS + 2_000


def test_inline_addresses_are_brought_to_their_normal_form() -> None:
    asked = parsed(recipient={"email": "Ann@Example.com", "phone": "+1 (202) 555-0123"})

    assert asked.recipient is not None
    assert (asked.recipient.email, asked.recipient.phone) == ("Ann@example.com", "+12025550123")
    assert wrong_fields(
        NotificationRequest, request(recipient={"email": "ann", "timezone": "Mars", "fax": "1"})
    ) == ["recipient.email", "recipient.timezone", "recipient.fax"]


@settings(deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON_VALUES, max_size=4))
def test_the_order_of_fields_does_not_change_a_fingerprint(data: dict[str, Any]) -> None:
    backwards = dict(reversed(data.items()))

    assert parsed(data=data).fingerprint() == parsed(data=backwards).fingerprint()


def test_a_fingerprint_is_of_type_channels_and_data_and_not_of_times() -> None:
    first = parsed(data={"a": 1}, channels=["sms", "push"])
    same = parsed(
        data={"a": 1}, channels=["push", "sms"], requested_at="2026-03-01T12:00:00Z",
        ttl_seconds=60, metadata={"try": 2}, priority="bulk",
    )  # fmt: skip
    others = [
        parsed(data={"a": 2}, channels=["sms", "push"]),
        parsed(data={"a": 1}, channels=["sms"]),
        parsed(data={"a": 1}),
        parsed(data={"a": 1}, channels=["sms", "push"], type="order_shipped"),
    ]

    assert first.fingerprint() == same.fingerprint()
    assert len({each.fingerprint() for each in [first, *others]}) == 5


def test_a_broadcast_names_an_audience_or_users_and_not_both() -> None:
    assert BroadcastRequest.model_validate_json('{"type":"t","audience":"fans"}').audience == "fans"
    assert BroadcastRequest.model_validate_json('{"type":"t","user_ids":["a","b"]}').user_ids

    for wrong in ({}, {"audience": "fans", "user_ids": ["a"]}):
        assert wrong_fields(BroadcastRequest, {"type": "t"} | wrong) == [""]


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_ids": []}, {"user_ids": ["a", "a"]}, {"user_ids": [f"u{n}" for n in range(10_001)]},
        {"user_ids": ["a b"]}, {"audience": "fans", "max_per_second": 0},
        {"audience": "fans", "user_id": "ann"}, {"audience": "fans", "recipient": {}},
    ],
)  # fmt: skip
def test_a_broadcast_out_of_bounds_is_refused(wrong: dict[str, Any]) -> None:
    assert wrong_fields(BroadcastRequest, {"type": "t"} | wrong)


def test_ten_thousand_users_are_within_bounds() -> None:
    users = [f"user-{n}" for n in range(10_000)]

    asked = BroadcastRequest.model_validate_json(json.dumps({"type": "t", "user_ids": users}))

    assert asked.user_ids == users


def test_another_audience_is_another_broadcast() -> None:
    fans = BroadcastRequest(type="t", audience="fans")
    staff = BroadcastRequest(type="t", audience="staff")

    assert fans.fingerprint() != staff.fingerprint()


def test_a_cancellation_by_key_means_the_request_with_that_key() -> None:
    by_key = Cancellation(user_id="ann", idempotency_key="key")
    by_id = Cancellation(notification_id=ids.to_text(NOTIFICATION).upper())
    of_tenant = Cancellation(tenant="shop", user_id="ann", idempotency_key="key")

    assert by_key.target_id() == by_id.target_id() == NOTIFICATION
    assert of_tenant.target_id() == ids.notification_id("shop", "ann", "key")


def test_a_broadcast_is_cancelled_by_its_id() -> None:
    broadcast = ids.broadcast_id("", "key")

    assert Cancellation(broadcast_id=ids.to_text(broadcast)).target_id() == broadcast


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"user_id": "ann"}, {"idempotency_key": "key"}, {"tenant": "shop"},
        {"notification_id": "no-id"},
        {"notification_id": ids.to_text(NOTIFICATION), "broadcast_id": ids.to_text(NOTIFICATION)},
        {"notification_id": ids.to_text(NOTIFICATION), "user_id": "ann", "idempotency_key": "key"},
    ],
)  # fmt: skip
def test_a_cancellation_that_does_not_name_one_thing_is_refused(wrong: dict[str, Any]) -> None:
    assert wrong_fields(Cancellation, wrong)


def test_the_last_control_of_each_thing_survives_compaction() -> None:
    at = "2026-03-01T12:00:00Z"
    pause = Control.model_validate_json(
        json.dumps({"action": "pause", "scope": "channel", "name": "sms", "occurred_at": at})
    )

    assert pause.record_key() == b"channel:sms"
    assert wrong_fields(Control, {"action": "stop", "scope": "user", "name": "x"}) == [
        "action",
        "scope",
        "occurred_at",
    ]
