"""Corner cases of the real topology: opt-outs and addresses that wait to be read."""

import asyncio
import json
from typing import Any

import pytest

from schemas import ids, topics
from schemas.instants import rfc3339
from schemas.kafka import Record, TopicPartition
from schemas.receipt import decode_receipt
from streams.engine import partition as partition_of_a_role
from streams.topology import DECIDE
from tests.simulation.evidence import Evidence
from tests.simulation.loop import START_MS
from tests.simulation.real import PARTITIONS, RealWorld
from tests.simulation.stage import REQUESTED, Stage, told

MINUTE_MS = 60_000


@pytest.mark.parametrize("seed", range(10))
def test_an_opt_out_counts_when_it_and_a_request_both_wait_at_the_start(seed: int) -> None:
    stage = Stage(seed)
    world = stage.world
    at = rfc3339(START_MS - 1000)
    known = {"user_id": "u2", "occurred_at": at}
    email_off = {"email": {"enabled": False}}
    backlog: list[tuple[str, dict[str, Any]]] = [
        (topics.RECIPIENTS_CHANGED, known | {
            "change": "recipient_updated", "source": "producer", "email": "u2@example.org"}),
        (REQUESTED, {"user_id": "u2", "type": "offer", "data": {"number": "1"}}),
        (topics.RECIPIENTS_CHANGED, known | {
            "change": "preferences_updated", "source": "user", "preferences": email_off}),
    ]  # fmt: skip

    async def story() -> None:
        for topic, said in backlog:
            partition = ids.partition_of("u2", PARTITIONS)
            value = json.dumps(stage.traffic.numbered(said) if topic == REQUESTED else said)
            world.broker.append(Record(topic, partition, value.encode()))

    found = stage.play(story, is_introduced=False)

    assert found.acceptances == []
    assert told(found, "email")[-1][0] in ("rejected", "suppressed")


told_by_a_producer = pytest.mark.parametrize(
    ("change", "said"),
    [
        ("recipient_updated", {"email": "moved@example.org"}),
        ("preferences_updated", {"preferences": {"email": {"enabled": False}}}),
    ],
    ids=["another mailbox", "an opt-out that a producer brings"],
)


@told_by_a_producer
def test_what_waits_behind_a_long_backlog_counts_for_a_request_that_is_decided_before_it(
    monkeypatch: pytest.MonkeyPatch, change: str, said: dict[str, Any]
) -> None:
    monkeypatch.setattr(partition_of_a_role, "HEAD_START_SECONDS", 0.0)
    found = _ask_behind_a_backlog(change, said)

    assert found.acceptances == []
    assert told(found)[-1][0] == "suppressed"


@told_by_a_producer
def test_what_a_worker_could_not_fetch_for_long_counts_for_a_request_that_it_decides_without_it(
    change: str, said: dict[str, Any]
) -> None:
    stage = Stage()
    place = TopicPartition(topics.RECIPIENTS_CHANGED, ids.partition_of("u2", PARTITIONS))

    async def story() -> None:
        await asyncio.sleep(5.0)  # until all that are started have their partitions
        decider = stage.owner(DECIDE, place.partition)
        decider.pause(place)  # as if the broker that leads it, and no other, were out of reach
        await stage.traffic.change("u2", change, source="producer", **said)
        await asyncio.sleep(15.0)  # longer than clocks may differ
        await stage.ask("u2", "offer", "email")
        await asyncio.sleep(2.0)
        decider.resume(place)

    found = stage.play(story, prompt_ms=MINUTE_MS)

    assert found.acceptances == []
    assert [status for status, _ in told(found)] == ["queued", "suppressed"]


def test_a_request_is_decided_by_what_waited_before_it_behind_a_backlog() -> None:
    found = _ask_behind_a_backlog("recipient_updated", {"email": "moved@example.org"})

    assert [each.message.address for each in found.acceptances] == ["moved@example.org"]


def _ask_behind_a_backlog(change: str, said: dict[str, Any]) -> Evidence:
    stage = Stage()
    world = stage.world
    partition = ids.partition_of("u2", PARTITIONS)
    places = [TopicPartition(topic, partition) for topic in (topics.RECIPIENTS_CHANGED, REQUESTED)]

    async def story() -> None:
        sleepers = [each for each in world.processes if each.role == DECIDE]
        for each in sleepers:
            world.loop.suspend(each.domain)
        for number in range(150):  # more than one fetch brings
            await stage.traffic.change(
                "u2", "recipient_updated", source="producer", locale=("en", "de")[number % 2]
            )
        await stage.traffic.change("u2", change, source="producer", **said)
        await stage.ask("u2", "offer", "email")
        await asyncio.sleep(15.0)  # longer than clocks may differ
        for each in sleepers:
            world.loop.wake(each.domain)

    found = stage.play(story)

    assert all(world.broker.log(place).end for place in places)
    return found


@pytest.mark.parametrize("channel", ["email", "in_app"])
def test_an_opt_out_behind_an_open_transaction_holds_deliveries_back_until_it_is_read(
    channel: str,
) -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        # A producer of its own that died inside a transaction hides what lies behind its record.
        epoch = world.broker.init_producer("stranger")
        partition = ids.partition_of("u2", PARTITIONS)
        hiding = Record(topics.RECIPIENTS_CHANGED, partition, b"{}")
        world.broker.transact("stranger", epoch, [hiding])
        await stage.traffic.wish("u2", channel, enabled=False)
        await asyncio.sleep(6.0)  # the tails are no longer fresh
        await stage.ask("u2", "offer", channel)
        await asyncio.sleep(2.0)
        assert told_now(world) == ["queued"], "decided without it, and held back by the sender"

    found = stage.play(story, prompt_ms=MINUTE_MS)

    assert told(found) == [("queued", ""), ("suppressed", "opted_out_channel")]


def told_now(world: RealWorld) -> list[str]:
    return [decode_receipt(each).status for each in world.committed_records(topics.RECEIPTS)]
