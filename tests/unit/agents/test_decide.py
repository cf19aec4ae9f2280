"""Single requests: who is told now, later or not at all, and why."""

from dataclasses import replace
from typing import Any

import pytest

from agents.decide import Decide, request_id_of
from policies.rules import Defaults
from schemas.delivery import Lane
from schemas.ids import address_hash, from_text, partition_of, partition_of_id
from schemas.profile import Profile
from schemas.topics import REQUESTED
from tables import recipients
from tables.state import Kind
from tests.doubles import BatchOf, MemoryState, drive
from tests.unit.agents.decide_side import (
    DAY,
    LANES,
    NOW_MS,
    PARTITIONS,
    RULES,
    TOPIC,
    batches,
    decide,
    profile,
    receipts,
    request,
    state_with,
    terms,
    told,
)


async def test_a_request_is_delivered_with_a_receipt_in_one_transaction() -> None:
    state = state_with(partition=2, ann=profile())

    done = await decide(state, request(metadata={"order": "7"}, data={"percent": 20}))

    (effects,) = done.effects
    ((record, batch),) = batches(list(effects.records))
    assert (record.topic, record.partition) == ("deliveries.email.bulk", 2)
    (target,) = batch.targets
    assert (target.user_id, target.address, target.name) == ("ann", "ann@example.com", "Ann")
    assert target.address_hash == address_hash(b"key", "email", "ann@example.com")
    assert batch.body_of(target).data == {"percent": 20}
    (receipt,) = receipts(done.records)
    assert (receipt.status, receipt.metadata) == ("queued", {"order": "7"})
    assert from_text(receipt.delivery_id) == target.delivery_id
    assert receipt.occurred_at == "2026-03-01T12:00:00.000Z"


async def test_who_said_nothing_of_a_language_is_written_to_in_the_default_one() -> None:
    rules = replace(RULES, defaults=Defaults(locale="pt-BR"))
    stage = Decide(terms=terms(rules=rules), lanes=LANES, tenants={})
    german = {"email": "ann@example.com", "locale": "de"}
    items = [request(), request(offset=1, recipient=german)]

    done = await drive(stage, BatchOf(items, NOW_MS, state_with(ann=profile())))

    targets = [each for _, batch in batches(done.records) for each in batch.targets]
    assert [each.locale for each in targets] == ["pt-BR", "de"]


async def test_a_receipt_goes_to_its_users_partition_under_the_user_id() -> None:
    user_id = 'ann "%s" müller'.replace(" ", "_")

    done = await decide(MemoryState(), request(user_id=user_id))

    (record,) = done.records
    (receipt,) = receipts(done.records)
    assert record.partition == partition_of(user_id, PARTITIONS)
    assert record.key == user_id.encode()
    assert receipt.user_id == user_id


# Case 1: a producer sends the same request twice.


@pytest.mark.parametrize(
    ("known", "fields", "expected"),
    [
        (profile(), {"type_name": "unheard_of"}, [("", "rejected", "unknown_type")]),
        (profile(), {"channels": ["push"]}, [("push", "rejected", "channel_not_in_type")]),
        (profile(), {"channels": ["email", "sms"]}, [
            ("email", "queued", ""), ("sms", "rejected", "channel_not_in_type"),
        ]),
        (profile(email=None), {}, [("email", "rejected", "no_address")]),
        (profile(devices=0), {"type_name": "order_confirmed"}, [
            ("push", "rejected", "no_address"), ("email", "queued", ""),
        ]),
        (profile(on={"email": False}), {}, [("email", "suppressed", "opted_out_channel")]),
        (profile(suppressed="email"), {}, [("email", "suppressed", "suppressed_address")]),
        # A mandatory type skips preferences, never a suppression.
        (profile(on={"sms": False}), {"type_name": "login_code"}, [("sms", "queued", "")]),
        (profile(suppressed="sms"), {"type_name": "login_code"}, [
            ("sms", "suppressed", "suppressed_address"),
        ]),
        # Expiry is counted from the producer's time, and comes before everything but the type.
        (profile(on={"email": False}), {"requested_at": "2026-02-27T12:00:00Z"}, [
            ("email", "expired", "ttl"),
        ]),
        (profile(), {"ttl_seconds": 60, "requested_at": "2026-03-01T11:59:00Z"}, [
            ("email", "expired", "ttl"),
        ]),
        (profile(), {"ttl_seconds": 61, "requested_at": "2026-03-01T11:59:00Z"}, [
            ("email", "queued", ""),
        ]),
    ],
)  # fmt: skip
async def test_every_answer_has_a_reason(
    known: Profile, fields: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    done = await decide(state_with(ann=known), request(**fields))

    assert told(done.records) == expected


async def test_a_channel_that_was_asked_for_and_refused_is_no_fallback_either() -> None:
    asked = request(type_name="order_confirmed", channels=["email", "sms"])

    done = await decide(state_with(ann=profile()), asked)

    ((_, batch),) = batches(done.records)
    assert batch.bodies[0].fallback == ("in_app",)


async def test_a_cancelled_request_is_settled() -> None:
    item = request(idempotency_key="k")

    done = await decide(state_with(ann=profile()), item, cancelled={request_id_of(item): NOW_MS})

    assert told(done.records) == [("email", "cancelled", "cancelled")]


async def test_a_cancellation_means_the_request_of_its_day_not_a_later_one_with_the_same_key() -> (
    None
):
    for came_ms, expected in ((NOW_MS - DAY, "queued"), (NOW_MS - DAY + 1, "cancelled")):
        item = request(idempotency_key="k")

        done = await decide(
            state_with(ann=profile()), item, cancelled={request_id_of(item): came_ms}
        )

        assert [status for _, status, _ in told(done.records)] == [expected]


async def test_of_two_requests_with_one_key_that_are_decided_together_each_is_called_off_or_not() -> (
    None
):
    first = request(idempotency_key="k")
    second = request(idempotency_key="k", offset=1, appended_ms=NOW_MS + 2 * DAY)

    done = await decide(
        state_with(ann=profile()), first, second, now_ms=NOW_MS + 2 * DAY,
        cancelled={request_id_of(first): NOW_MS + 1},
    )  # fmt: skip

    assert sorted(status for _, status, _ in told(done.records)) == ["cancelled", "queued"]


async def test_a_request_of_a_type_not_declared_yet_is_not_remembered() -> None:
    state = state_with(ann=profile())

    await decide(state, request(type_name="unheard_of", idempotency_key="k"))

    assert state.count(Kind.TRANSIENT) == 0


async def test_data_that_no_batch_can_carry_is_refused() -> None:
    done = await decide(state_with(ann=profile()), request(data={"text": "x" * 100_000}))

    assert told(done.records) == [("", "rejected", "too_large")]


# Tenants: a topic may be kept for some.


@pytest.mark.parametrize(
    ("topic", "tenant", "expected"),
    [
        ("critical", "accounts", ("email", "queued", "")),
        ("critical", "shop", ("", "rejected", "tenant_not_allowed")),
        ("critical", None, ("", "rejected", "tenant_not_allowed")),
        # A topic that names none takes everybody's.
        ("normal", "shop", ("email", "queued", "")),
        ("normal", None, ("email", "queued", "")),
    ],
)
async def test_a_topic_that_names_tenants_refuses_all_others(
    topic: Lane, tenant: str | None, expected: tuple[str, str, str]
) -> None:
    item = request(topic=REQUESTED[topic], tenant=tenant)

    done = await decide(
        state_with(ann=profile()), item, tenants={REQUESTED["critical"]: {"accounts", "bank"}}
    )

    assert told(done.records) == [expected]
    assert [each.tenant for each in receipts(done.records)] == [tenant or ""]


async def test_a_request_of_a_tenant_not_allowed_is_not_remembered() -> None:
    state = state_with(ann=profile())
    asked: dict[str, Any] = {"tenant": "shop", "idempotency_key": "k"}

    await decide(state, request(**asked), tenants={TOPIC: {"accounts"}})
    remembered = state.count(Kind.TRANSIENT)
    done = await decide(state, request(**asked), tenants={TOPIC: {"accounts", "shop"}})

    assert remembered == 0
    assert told(done.records) == [("email", "queued", "")]


# A user not known yet.


async def test_inline_addresses_reach_a_user_who_is_not_known_yet() -> None:
    done = await decide(
        MemoryState(),
        request(type_name="login_code", user_id="new", recipient={"phone": "+15550100199"}),
    )

    ((_, batch),) = batches(done.records)
    assert batch.targets[0].address == "+15550100199"


async def test_inline_addresses_do_not_lift_an_opt_out() -> None:
    state = state_with(ann=profile(on={"email": False}))

    done = await decide(state, request(recipient={"email": "other@example.com"}))

    assert told(done.records) == [("email", "suppressed", "opted_out_channel")]


# Lanes.


@pytest.mark.parametrize(
    ("topic", "type_name", "priority", "lane"),
    [
        ("critical", "login_code", None, "critical"),
        # The topic caps the type, the type caps the topic, the producer only lowers.
        ("bulk", "login_code", None, "bulk"),
        ("critical", "everywhere", None, "normal"),
        ("critical", "login_code", "normal", "normal"),
        ("bulk", "login_code", "critical", "bulk"),
    ],
)
async def test_the_lane_is_the_slowest_that_anybody_allows(
    topic: Lane, type_name: str, priority: Lane | None, lane: Lane
) -> None:
    item = request(type_name=type_name, topic=REQUESTED[topic], priority=priority)

    done = await decide(state_with(ann=profile()), item)

    assert {batch.lane for _, batch in batches(done.records)} == {lane}


# Channels.


async def test_push_goes_to_every_device_as_one_delivery() -> None:
    state = state_with(ann=profile(devices=3))

    done = await decide(state, request(type_name="order_confirmed", channels=["push"]))

    ((_, batch),) = batches(done.records)
    assert [target.device_id for target in batch.targets] == ["device-0", "device-1", "device-2"]
    assert {target.device_count for target in batch.targets} == {3}
    assert len({target.delivery_id for target in batch.targets}) == 1
    assert [each.device_count for each in receipts(done.records)] == [3]


async def test_sms_goes_to_the_partition_of_its_sender() -> None:
    done = await decide(state_with(partition=3, ann=profile()), request(type_name="login_code"))

    ((record, batch),) = batches(done.records)
    assert record.partition == partition_of(batch.sender, PARTITIONS)
    assert batch.sender in {"us_main", "eu_main"}


async def test_singles_of_one_batch_travel_together() -> None:
    state = state_with(ann=profile(), bob=profile())

    done = await decide(
        state,
        *(request(user_id=user_id, offset=n) for n, user_id in enumerate(["ann", "bob", "ann"])),
    )

    ((_, batch),) = batches(done.records)
    assert [target.user_id for target in batch.targets] == ["ann", "bob", "ann"]
    assert [target.body for target in batch.targets] == [0, 1, 2]
    assert batch.slice_id == b""


async def test_large_bodies_are_spread_over_records_below_the_limit() -> None:
    users = [f"user-{n}" for n in range(8)]
    state = MemoryState(0, [recipients.put(user_id, profile()) for user_id in users])

    done = await decide(
        state,
        *(
            request(user_id=user_id, offset=n, data={"text": "x" * 60_000})
            for n, user_id in enumerate(users)
        ),
    )

    sizes = [len(record.value or b"") for record, _ in batches(done.records)]
    assert sum(len(batch.targets) for _, batch in batches(done.records)) == 8
    assert max(sizes) < 256 * 1024


async def test_a_traceparent_is_passed_through() -> None:
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    done = await decide(state_with(ann=profile()), request(headers=(("traceparent", parent),)))

    assert [each.traceparent for each in receipts(done.records)] == [parent.decode()]


@pytest.mark.parametrize("refused", [{"type_name": "unheard_of"}, {"data": {"text": "x" * 99_999}}])
async def test_a_traceparent_is_passed_through_to_a_refusal_too(refused: dict[str, Any]) -> None:
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    done = await decide(MemoryState(), request(headers=(("traceparent", parent),), **refused))

    assert [each.traceparent for each in receipts(done.records)] == [parent.decode()]


# Caps.


async def test_a_request_that_raises_is_told_of() -> None:
    stage = Decide(terms=terms(), lanes=LANES, tenants={})
    item = request()

    effects = stage.give_up(BatchOf([item], NOW_MS, MemoryState()), item, "KeyError")

    assert told(list(effects.records)) == [("", "rejected", "stage_error")]
    assert partition_of_id(request_id_of(item), PARTITIONS) == effects.records[0].partition
