"""The corner cases that the design begins with, on real workers, a real Kafka and real sockets.

One pipeline serves them all, so each has people of its own. docs/guarantees.md tells which case
is tested where.
"""

import asyncio
import json
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio

from policies.clock import SystemClock
from proof.offsets import reset_offsets
from sandbox.faults import FaultRule
from schemas import ids, topics
from streams.assembly import plan_for
from streams.cli.clients import patience_of
from streams.embedded_kafka import EmbeddedKafka
from streams.metrics import Metrics
from streams.topology import DECIDE
from streams.watched_clock import WatchedClock
from tests.acceptance.pipeline_lab import PARTITIONS
from tests.acceptance.scripted_lab import ScriptedPipeline as Pipeline
from tests.acceptance.scripted_lab import scripted
from tests.acceptance.talking import (
    CODE,
    CRITICAL,
    ORDER,
    a_key,
    accepted,
    accepted_at,
    bring,
    change,
    in_seconds,
    known,
    mail,
    mailbox,
    member,
    order,
    refuse,
    text,
    texts,
    token,
    told,
    until,
    until_accepted,
    until_settled,
    until_texted,
    until_told,
)
from tests.acceptance.test_pipeline_faults import check

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

SMS_RATE = 10
PEOPLE = ("refusing", "leaving", "staying", "strayed", "stray-refusing", "undecided")
READERS = tuple(f"reader-{number}" for number in range(24))
FOLLOWERS = tuple(f"follower-{number}" for number in range(8000))
"""Who is known when the cases begin; others bring their addresses with the request."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pipeline]:
    folder = tmp_path_factory.mktemp("corners")
    async with scripted(kafka.bootstrap, folder, sms_rate=f"{SMS_RATE}/s") as opened:
        await bring(opened, PEOPLE)
        await bring(opened, READERS, audience="readers")
        await bring(opened, FOLLOWERS, audience="followers")
        await opened.until_all_is_read()
        yield opened


class Begun(NamedTuple):
    """Notifications whose ends take half a minute: they are begun first and looked at last."""

    code: str
    """Its worker died while the provider had it and had not answered."""
    invoice: str
    """The same, of a type that is not sent again."""
    unreachable: str
    """Its provider was down."""
    unanswered: str
    """Its provider took it and never answers."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def begun(opened: Pipeline) -> Begun:
    await opened.faults(
        FaultRule(effect="hang", address="+14155550201", first=1),
        FaultRule(effect="hang", address="held@example.org", first=1),
        FaultRule(effect="hang", address="unanswered@example.org"),
    )
    await opened.listen("sendgrid", is_open=False)
    unreachable = await mail(opened, "unreachable")
    await until_told(opened, unreachable, "deferred")
    await opened.listen("sendgrid", is_open=True)

    code = await text(opened, "coded", "+14155550201")
    invoice = await mail(opened, "held")
    for role, address in (("sms", "+14155550201"), ("email", "held@example.org")):
        await until_accepted(opened, address)
        opened.kill(role)
    unanswered = await mail(opened, "unanswered")
    return Begun(code, invoice, unreachable, unanswered)


# Case 1: a producer repeats itself.


async def test_a_request_told_again_is_the_same_notification_through_a_restart(
    opened: Pipeline, begun: Begun
) -> None:
    first = await mail(opened, "twice", key="order-7")
    await until_settled(opened, first)

    opened.kill(DECIDE)
    again = await mail(opened, "twice", key="order-7", topic=CRITICAL)
    another = await mail(opened, "twice", key="order-7", data=ORDER | {"total": "2 EUR"})
    await until_told(opened, first, "duplicate")
    await until_told(opened, first, "rejected")

    assert first == again == another
    assert told(opened, first, "delivery") == [("queued", ""), ("sent", "")]
    assert sorted(told(opened, first, "request")) == [
        ("duplicate", ""), ("rejected", "idempotency_conflict")
    ]  # fmt: skip
    assert len(accepted_at(opened, "twice@example.org")) == 1


# Case 2: nobody can know whether it was sent.


async def test_what_a_provider_had_when_the_worker_died_is_in_doubt_and_held_where_the_type_says_so(
    opened: Pipeline, begun: Begun
) -> None:
    await until_settled(opened, begun.invoice)
    await until_told(opened, begun.code, "in_doubt")

    assert told(opened, begun.invoice) == [("queued", ""), ("in_doubt", "outcome_lost")]
    assert len(accepted_at(opened, "held@example.org")) == 1
    assert told(opened, begun.code)[:2] == [("queued", ""), ("in_doubt", "outcome_lost")]


# Case 3: an opt-out while deliveries wait.


async def test_an_opt_out_stops_what_waits_of_a_broadcast(opened: Pipeline) -> None:
    await opened.control("pause", "channel", "push")
    await known()
    await opened.broadcast(
        {"type": "friend_joined", "audience": "readers", "channels": ["push"],
         "data": {"friend": "Noor"}, "idempotency_key": "news"}
    )  # fmt: skip
    waiting = {reader: member("news", reader) for reader in READERS}
    for each in waiting.values():
        await until_told(opened, each, "deferred")

    for reader in READERS[:4]:
        await refuse(opened, reader, {"push": {"enabled": False}})
    for reader in READERS[4:8]:
        await refuse(opened, reader, {"types": {"friend_joined": False}})
    await known()
    await opened.control("resume", "channel", "push")
    await until_settled(opened, *waiting.values())

    ends = [told(opened, waiting[reader])[-1] for reader in READERS]
    assert ends[:4] == [("suppressed", "opted_out_channel")] * 4
    assert ends[4:8] == [("suppressed", "opted_out_type")] * 4
    assert ends[8:] == [("sent", "")] * 16
    assert not any(accepted_at(opened, token(reader)) for reader in READERS[:8])


# Case 6: a provider fails.


async def test_a_provider_that_throttles_is_asked_again_and_one_that_is_slow_holds_up_nobody(
    opened: Pipeline, begun: Begun
) -> None:
    await opened.faults(
        FaultRule(effect="answer", code="429", address="throttled@*", first=2),
        FaultRule(effect="delay", address="slow@*", delay_seconds=4.0),
    )

    slow = await mail(opened, "slow")
    await until_accepted(opened, "slow@example.org")
    throttled = await mail(opened, "throttled")
    quick = await mail(opened, "quick")
    by_phone = await text(opened, "quick", "+14155550601")
    await until_settled(opened, quick, by_phone)
    assert told(opened, slow) == [("queued", "")], "the slow one was not slow: nothing is proved"

    await until_settled(opened, throttled, slow)
    assert told(opened, throttled)[-1] == told(opened, slow)[-1] == ("sent", "")
    assert len(accepted_at(opened, "throttled@example.org")) == 1


# Case 7: a record that cannot be handled.


async def test_poison_in_the_middle_of_a_partition_ends_as_dead_letters_and_touches_nobody_else(
    opened: Pipeline,
) -> None:
    topic = topics.REQUESTED["normal"]
    home = ids.partition_of("neighbour", PARTITIONS)
    poison = (b"not json", b'{"user_id": 7}', b"\xff\xfe", None, b"[" * 4000)

    asked = []
    for value in poison:
        asked.append(await mail(opened, "neighbour"))
        await opened.append(topic, value, partition=home, key=b"neighbour")
    spoilt = await opened.request(
        "neighbour", "promotion", key=a_key(), channels=["email"],
        recipient={"email": mailbox("neighbour")}, data={"headline": "without an offer"},
    )  # fmt: skip
    asked.append(await mail(opened, "neighbour"))
    await until_settled(opened, *asked, spoilt)

    assert [told(opened, each)[-1] for each in asked] == [("sent", "")] * len(asked)
    assert told(opened, spoilt)[-1] == ("failed", "template_error")
    await until(opened, lambda: len(opened.letters) > len(poison))
    assert Counter(each.topic for each in opened.letters) == {
        topic: len(poison), topics.deliveries("email", "bulk"): 1
    }  # fmt: skip


# Case 9: a lost or old disk.


async def test_no_opt_out_is_forgotten_and_no_deleted_person_comes_back_with_a_disk(
    opened: Pipeline,
) -> None:
    stores, old = opened.folder / f"{DECIDE}-0" / "stores", opened.folder / "old-stores"
    await asyncio.to_thread(opened.stop, DECIDE)
    shutil.copytree(stores, old)
    opened.start(DECIDE)
    await refuse(opened, "refusing", {"email": {"enabled": False}})
    await change(opened, "leaving", "recipient_deleted")
    await opened.until_all_is_read()

    for disk in ("stale", "lost"):
        await asyncio.to_thread(opened.stop, DECIDE)
        shutil.rmtree(stores)
        if disk == "stale":
            shutil.move(old, stores)
        opened.start(DECIDE)
        asked = [await order(opened, user, "email") for user in ("refusing", "leaving", "staying")]
        await until_settled(opened, *asked)

        # The decision itself knew: no sender had to stop anything.
        assert told(opened, asked[0]) == [("suppressed", "opted_out_channel")], disk
        assert told(opened, asked[1]) == [("rejected", "no_address")], disk
        assert told(opened, asked[2]) == [("queued", ""), ("sent", "")], disk


# Case 10: a carrier's rate.


async def test_a_carriers_rate_holds_in_every_second_over_two_workers_and_their_deaths(
    opened: Pipeline,
) -> None:
    opened.start("sms-1")
    before = len(texts(opened))
    asked = [
        await text(opened, f"texted-{number}", f"+14155551{number:03d}")
        for number in range(5 * SMS_RATE)
    ]

    for place, worker in enumerate(("sms", "sms-1"), 1):
        await until_texted(opened, before + place * SMS_RATE)
        opened.kill(worker)
    for each in asked:
        await until_told(opened, each, "sent", "in_doubt")

    at_ms = [entry.at_ms for entry in texts(opened)]
    spans = [later - first for first, later in zip(at_ms, at_ms[SMS_RATE:], strict=False)]
    assert min(spans) >= 1000, f"{SMS_RATE + 1} messages in {min(spans)} ms"


# Case 11: a record in the wrong partition.


async def test_a_misplaced_record_is_forwarded_once_and_decided_with_its_users_state(
    opened: Pipeline,
) -> None:
    elsewhere = {
        user: (ids.partition_of(user, PARTITIONS) + 1) % PARTITIONS
        for user in ("strayed", "stray-refusing")
    }
    said = {"user_id": "stray-refusing", "change": "preferences_updated", "source": "user",
            "occurred_at": in_seconds(0), "preferences": {"email": {"enabled": False}}}  # fmt: skip
    await opened.put(topics.RECIPIENTS_CHANGED, said, partition=elsewhere["stray-refusing"])
    await opened.until_all_is_read()

    asked = [
        await order(opened, user, "email", partition=partition)
        for user, partition in elsewhere.items()
    ]
    await until_settled(opened, *asked)

    assert told(opened, asked[0]) == [("queued", ""), ("sent", "")]
    assert told(opened, asked[1]) == [("suppressed", "opted_out_channel")]
    counted = opened.metrics(DECIDE)
    for topic, count in ((topics.REQUESTED["normal"], 2), (topics.RECIPIENTS_CHANGED, 1)):
        labels = f'role="{DECIDE}",slot="0",topic="{topic}"'
        assert counted[f"postrider_records_forwarded_total{{{labels}}}"] == count
        forwarded = await opened.records(topics.forwarded(topic))
        assert len(forwarded) == count
        assert all(
            each.partition == ids.partition_of(json.loads(each.value or b"")["user_id"], PARTITIONS)
            for each in forwarded
        )


# Case 12: offsets reset, workers down for long.


async def reset(opened: Pipeline, role: str, *, to: int) -> None:
    """The offsets of all that the role reads, while its worker is down."""
    make = plan_for(opened.config, role=role, patience=patience_of(opened.config))
    plan = make(Metrics(role=role, slot=0), WatchedClock(SystemClock()))
    names = opened.config.kafka.names
    await reset_offsets(
        bootstrap=opened.environment["KAFKA_BOOTSTRAP"],
        group=names.group(role),
        instance=f"{role}-0",
        topics=[names.physical(source.topic) for source in plan.topology.sources],
        partitions=PARTITIONS,
        to=to,
    )


async def test_offsets_that_were_reset_send_nothing_of_yesterday_again(
    opened: Pipeline, begun: Begun
) -> None:
    yesterday = await mail(opened, "yesterday")
    await until_settled(opened, yesterday)
    await asyncio.to_thread(opened.stop, DECIDE)
    await reset(opened, DECIDE, to=0)
    receipts_before, accepted_before = len(opened.receipts), len(accepted(opened))

    # What was written 30 hours ago, and waited while everything was down, is worth nothing now.
    late = await mail(opened, "late", requested_at=in_seconds(-30 * 3600))
    today = await mail(opened, "today")
    opened.start(DECIDE)
    await until_settled(opened, late, today)
    await opened.until_all_is_read()

    assert told(opened, late) == [("expired", "ttl")]
    assert told(opened, today) == [("queued", ""), ("sent", "")]
    of = {late, today, *begun}
    assert {each.notification_id for each in opened.receipts[receipts_before:]} <= of
    assert {each.notification_id for each in accepted(opened)[accepted_before:]} <= of


# Case 13: an opt-out that waits beside the request.


async def test_an_opt_out_counts_that_waits_with_the_request_and_behind_an_import(
    opened: Pipeline,
) -> None:
    await asyncio.to_thread(opened.stop, DECIDE)

    asked = await order(opened, "undecided", "email")
    await bring(opened, [f"crowd-{number}" for number in range(4000)])
    await refuse(opened, "undecided", {"email": {"enabled": False}})
    opened.start(DECIDE)
    await until_settled(opened, asked)

    assert told(opened, asked)[-1] == ("suppressed", "opted_out_channel")
    assert accepted_at(opened, mailbox("undecided")) == []


# Case 14: a phone is sold, a number says STOP.


async def test_a_phone_that_was_sold_there_and_back_reaches_its_holder_only(
    opened: Pipeline,
) -> None:
    for seconds, user in enumerate(("anna", "bob", "anna"), start=-3):
        await change(
            opened, user, "device_registered", device_id="phone", platform="android",
            token="sold-token", occurred_at=in_seconds(seconds),
        )  # fmt: skip
    await opened.until_all_is_read()

    asked = [await order(opened, user, "push") for user in ("anna", "bob")]
    await until_settled(opened, *asked)

    assert told(opened, asked[0]) == [("queued", ""), ("sent", "")]
    assert told(opened, asked[1]) == [("rejected", "no_address")]
    (entry,) = accepted_at(opened, "sold-token")
    assert entry.notification_id == asked[0]


async def test_a_stop_from_a_number_holds_for_everybody_who_has_it(opened: Pipeline) -> None:
    number = "+14155551401"
    for user in ("mother", "daughter"):
        await change(opened, user, "recipient_updated", phone=number)
    await change(opened, "mother", "address_suppressed", channel="sms", reason="stop")
    await opened.until_all_is_read()

    asked = [
        await opened.request(user, "login_code", key=a_key(), topic=CRITICAL, data=CODE)
        for user in ("mother", "daughter")
    ]
    for each in asked:
        await until_told(opened, each, "suppressed")

    assert accepted_at(opened, number) == []


# Case 15: a pause that outlasts restarts.


async def test_a_pause_holds_through_restarts_and_holds_up_nothing_else(opened: Pipeline) -> None:
    await opened.control("pause", "tenant", "paused")
    await known()
    held = [await mail(opened, "held-back", tenant="paused") for _ in range(3)]
    for each in held:
        await until_told(opened, each, "deferred")

    for role in (DECIDE, "email"):
        opened.kill(role)
    await asyncio.to_thread(opened.stop, "email")
    opened.start("email")
    held.append(await mail(opened, "held-back", tenant="paused"))
    await until_told(opened, held[-1], "deferred")
    free = await mail(opened, "let-go")
    await until_settled(opened, free)

    assert [told(opened, each)[-1] for each in held] == [("deferred", "paused")] * 4
    assert told(opened, free)[-1] == ("sent", "")
    await opened.control("resume", "tenant", "paused")
    await until_settled(opened, *held)
    assert [told(opened, each)[-1] for each in held] == [("sent", "")] * 4


# Case 5: a code behind a crowd.


async def test_a_code_waits_neither_behind_a_broadcast_nor_behind_a_crowd_of_requests(
    opened: Pipeline,
) -> None:
    crowd = (
        order(opened, user, "email", topic=topics.REQUESTED["bulk"]) for user in FOLLOWERS[:1000]
    )
    await asyncio.gather(*crowd)
    await opened.broadcast(
        {"type": "friend_joined", "audience": "followers", "channels": ["push"],
         "data": {"friend": "Noor"}, "idempotency_key": "big-news"}
    )  # fmt: skip
    broadcast = [member("big-news", user) for user in FOLLOWERS]
    await until(opened, lambda: any(opened.told[each] for each in broadcast))

    began = time.monotonic()
    codes = [await text(opened, f"urgent-{each}", f"+1415555050{each}") for each in range(5)]
    await until_settled(opened, *codes)
    print(f"five codes were sent in {time.monotonic() - began:.2f} s")
    unsent = sum(
        not any(r.status == "sent" and r.channel == "push" for r in opened.told[each])
        for each in broadcast
    )

    assert [told(opened, each)[-1] for each in codes] == [("sent", "")] * 5
    assert unsent > len(FOLLOWERS) / 2, "the crowd was through before the codes: nothing is proved"


# Cases 2 and 6 after half a minute, and all of them together.


async def test_in_the_end_every_case_is_settled_and_everything_agrees(
    opened: Pipeline, begun: Begun
) -> None:
    await until_settled(opened, *begun)

    assert told(opened, begun.code) == [
        ("queued", ""), ("in_doubt", "outcome_lost"), ("sent", "")
    ]  # fmt: skip
    assert len(accepted_at(opened, "+14155550201")) == 2
    assert told(opened, begun.unanswered) == [("queued", ""), ("in_doubt", "timeout")]
    assert told(opened, begun.unreachable) == [
        ("queued", ""), ("deferred", "unreachable"), ("sent", "")
    ]  # fmt: skip
    await check(opened, may_doubt=True)  # whether or not the crowd is through
