import uuid
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import ids

USER = "user-0012345"
VISIBLE = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)


def test_a_negative_hash_loses_its_sign_bit_and_is_not_negated() -> None:
    assert ids.partition_of("21", 48) == (-973932308 + 2**31) % 48


def test_users_spread_over_partitions() -> None:
    users = Counter(ids.partition_of(f"user-{n}", 8) for n in range(8_000))

    assert set(users) == set(range(8))
    assert max(users.values()) < 1_200


@settings(deadline=None)
@given(user=VISIBLE, tenant=VISIBLE, key=VISIBLE, partitions=st.integers(1, 1000))
def test_a_notification_id_alone_finds_its_users_partition(
    user: str, tenant: str, key: str, partitions: int
) -> None:
    home = ids.partition_of(user, partitions)
    broadcast = ids.broadcast_id(tenant, key)
    made = [
        ids.notification_id(tenant, user, key),
        ids.notification_id_from_origin(user, "notifications.requested", 3, 17, 1_700),
        ids.member_notification_id(broadcast, user, ids.user_hash(user)),
    ]

    assert [ids.partition_of_id(each, partitions) for each in made] == [home] * 3


def test_every_id_is_a_uuid_of_its_version() -> None:
    notification = ids.notification_id("", USER, "key")
    broadcast = ids.broadcast_id("", "key")
    of_our_own = [
        notification,
        broadcast,
        ids.broadcast_id_from_origin("broadcasts.requested", 0, 1, 2),
        ids.notification_id_from_origin(USER, "notifications.requested", 0, 1, 2),
        ids.member_notification_id(broadcast, USER, ids.user_hash(USER)),
        ids.slice_id(broadcast, "push", 3, b"cursor"),
        ids.delivery_id(notification, "push", 1_700_000_000_000),
        ids.receipt_id(notification, ids.receipt_fact("sent")),
    ]

    # The standard library knows versions up to 5, so these bits are looked at here.
    assert {(each[6] >> 4, each[8] >> 6) for each in of_our_own} == {(8, 0b10)}
    assert len(set(of_our_own)) == len(of_our_own)


def test_ids_of_many_are_those_of_each() -> None:
    units = [ids.notification_id("", USER, str(number)) for number in range(50)]
    fact = ids.receipt_fact("sent")

    deliveries = ids.delivery_ids(units, "push", 1_700_000_000_000)

    assert deliveries == [ids.delivery_id(each, "push", 1_700_000_000_000) for each in units]
    assert ids.receipt_ids(deliveries, fact) == [ids.receipt_id(each, fact) for each in deliveries]
    assert len({*units, *deliveries, *ids.receipt_ids(deliveries, fact)}) == 150
    assert ids.delivery_ids([], "push", 0) == []


def test_channels_of_a_notification_and_what_is_told_of_them_never_share_an_id() -> None:
    notification = ids.notification_id("", USER, "key")
    facts = [ids.receipt_fact(status, attempt=n) for status in ("sent", "failed") for n in range(5)]
    units = [notification] + [
        ids.delivery_id(notification, channel, at_ms)
        for channel in ("push", "email", "sms", "in_app")
        for at_ms in range(1000)
    ]

    told = {ids.receipt_id(unit, fact) for unit in units for fact in facts}

    assert len(told) == len(units) * len(facts)
    assert told.isdisjoint(units)


def test_a_key_used_again_after_the_window_makes_another_delivery() -> None:
    notification = ids.notification_id("", USER, "key")

    assert ids.delivery_id(notification, "sms", 1) != ids.delivery_id(notification, "sms", 2)


@settings(deadline=None)
@given(first=st.tuples(VISIBLE, VISIBLE, VISIBLE), second=st.tuples(VISIBLE, VISIBLE, VISIBLE))
def test_a_keys_scope_is_its_tenant_and_user(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    same = ids.notification_id(*first) == ids.notification_id(*second)

    assert same == (first == second)


def test_a_scope_cannot_be_imitated_by_moving_the_borders_of_its_parts() -> None:
    assert ids.notification_id("a", "bc", "d") != ids.notification_id("ab", "c", "d")
    assert ids.notification_id("a", "b", "cd") != ids.notification_id("a", "bc", "d")
    assert ids.notification_id("", "1:a", "d") != ids.notification_id("1:a", "", "d")
    assert ids.broadcast_id("a", "bc") != ids.broadcast_id("ab", "c")


def test_a_request_without_a_key_is_its_coordinates_and_append_time() -> None:
    made = {
        ids.notification_id_from_origin(USER, "notifications.requested", 3, 17, 1_700),
        ids.notification_id_from_origin(USER, "notifications.requested", 3, 18, 1_700),
        ids.notification_id_from_origin(USER, "notifications.requested", 4, 17, 1_700),
        ids.notification_id_from_origin(USER, "notifications.requested.bulk", 3, 17, 1_700),
        # the topic was deleted and created again: same coordinates, another time
        ids.notification_id_from_origin(USER, "notifications.requested", 3, 17, 1_701),
        ids.notification_id_from_origin(USER, "notifications.requested", 3, 17, 1_700, 0),
        ids.notification_id_from_origin(USER, "notifications.requested", 3, 17, 1_700, 1),
    }

    assert len(made) == 7


def test_the_same_fact_told_twice_has_one_receipt_id() -> None:
    unit = ids.notification_id("", USER, "key")
    sent = ids.receipt_fact("sent", round_number=0, attempt=1)

    assert ids.receipt_id(unit, sent) == ids.receipt_id(unit, bytes(sent))
    others = [
        ids.receipt_fact("sent", round_number=1, attempt=1),
        ids.receipt_fact("sent", attempt=2),
        ids.receipt_fact("failed", attempt=1),
        ids.receipt_fact("sent", attempt=1, reason="x"),
        ids.receipt_fact("sent", attempt=1, detail="x"),
    ]
    assert len({ids.receipt_id(unit, fact) for fact in [sent, *others]}) == 6


def test_an_address_hash_depends_on_key_channel_and_address_only() -> None:
    key = b"k" * 32
    hashed = ids.address_hash(key, "sms", "+15550100123")

    assert len(hashed) == 16
    assert hashed == ids.address_hash(key, "sms", "+15550100123")
    assert hashed != ids.address_hash(b"l" * 32, "sms", "+15550100123")
    assert hashed != ids.address_hash(key, "push", "+15550100123")
    assert 0 <= ids.partition_of_hash(hashed, 8) < 8


def test_a_mailbox_is_the_same_in_any_letter_case_and_a_token_is_not() -> None:
    key = b"k" * 32

    assert ids.address_hash(key, "email", "Ann@example.com") == ids.address_hash(
        key, "email", "ann@example.com"
    )
    assert ids.address_hash(key, "push", "Token") != ids.address_hash(key, "push", "token")


@settings(deadline=None)
@given(st.binary(min_size=16, max_size=16))
def test_an_id_survives_its_text(id_bytes: bytes) -> None:
    text = ids.to_text(id_bytes)

    assert text == str(uuid.UUID(bytes=id_bytes))
    assert ids.from_text(text) == ids.from_text(text.upper()) == id_bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 32,
        "0" * 36,
        "00000000-0000-0000-0000-00000000000",
        "00000000-0000-0000-0000-00000000000g",
        "00000000-0000-0000-0000-0000000000-0",
        "00000000-0000-0000-0000-00 00000000 ",
        "{0000000-0000-0000-0000-00000000000}",
    ],
)
def test_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ids.from_text(text)
