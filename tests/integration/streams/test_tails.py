"""What senders tail, on a real Kafka: nothing is missed, and nobody sends past what is not known."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaProducer

from policies.rules import Category, NotificationType, Rules
from policies.stops import Stop, StopList
from schemas.delivery import Body, Target
from schemas.topics import RECIPIENTS_CHANGED, RECIPIENTS_DERIVED
from streams.stop_feed import StopFeed
from streams.tail_reader import KafkaTailReader
from streams.tails import Tails
from tests.doubles.never import never
from tests.integration.streams.desk import Desk

FOLLOWED = (RECIPIENTS_CHANGED, RECIPIENTS_DERIVED)
RULES = Rules({"news": NotificationType("news", Category("news"), ("email",))})
MAX_AGE_SECONDS = 0.5


def opt_out(user_id: str) -> bytes:
    return json.dumps(
        {
            "change": "preferences_updated",
            "user_id": user_id,
            "source": "user",
            "occurred_at": "2026-03-01T12:00:00Z",
            "preferences": {"email": {"enabled": False}},
        }
    ).encode()


class Follower:
    """A sender's stops, and the tails that feed them."""

    def __init__(self, desk: Desk) -> None:
        self.stops = StopList(RULES)
        self.errors: list[BaseException] = []
        self.tails = Tails(
            reader=KafkaTailReader(
                topics=FOLLOWED,
                partitions=1,
                names=desk.names,
                connection=desk.connection,
                patience=desk.patience,
                on_lost=never,
            ),
            feed=StopFeed(self.stops, address_key=b"secret", partitions=1),
            now_seconds=time.monotonic,
            max_age_seconds=MAX_AGE_SECONDS,
            ask_seconds=0.05,
        )

    def stops_mail_to(self, user_id: str) -> bool:
        now_ms = time.time_ns() // 1_000_000
        target = Target(user_id, b"n" * 16, b"d" * 16, "a@example.org")
        body = Body("news", "news", {}, now_ms + 60_000)
        return isinstance(
            self.stops.check(target, body, "email", released_ms=now_ms, now_ms=now_ms), Stop
        )


@pytest.fixture
async def followed(desk: Desk) -> AsyncIterator[AIOKafkaProducer]:
    """A producer for topics that there are."""
    await desk.create(*FOLLOWED)
    producer = AIOKafkaProducer(bootstrap_servers=desk.bootstrap)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def follower(desk: Desk, followed: AIOKafkaProducer) -> AsyncIterator[Follower]:
    opened = Follower(desk)
    yield opened
    await opened.tails.close()
    assert opened.errors == []


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for it; how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it did not come true"
        await asyncio.sleep(0.01)
    return time.monotonic() - started


async def test_what_was_said_before_a_start_is_known_before_the_first_call(
    desk: Desk, followed: AIOKafkaProducer, follower: Follower
) -> None:
    topic = desk.names.physical(RECIPIENTS_CHANGED)
    for number in range(500):
        await followed.send(topic, opt_out(f"u{number}"), partition=0)
    await followed.flush()

    await follower.tails.start(follower.errors.append)
    await follower.tails.catch_up()

    assert all(follower.stops_mail_to(f"u{number}") for number in range(500))
    assert not follower.stops_mail_to("somebody else")


async def test_an_opt_out_stops_within_a_second(
    desk: Desk, followed: AIOKafkaProducer, follower: Follower
) -> None:
    await follower.tails.start(follower.errors.append)
    await follower.tails.catch_up()
    topic = desk.names.physical(RECIPIENTS_CHANGED)

    await followed.send_and_wait(topic, opt_out("ann"), partition=0)

    assert await until(lambda: follower.stops_mail_to("ann")) < 1.0


async def test_an_open_transaction_at_a_tails_end_holds_calls_back_until_it_ends(
    desk: Desk, follower: Follower
) -> None:
    tails = follower.tails
    await tails.start(follower.errors.append)
    await tails.catch_up()
    assert tails.is_fresh()
    dying = desk.producer()
    await dying.start()

    await dying.begin_transaction()
    topic = desk.names.physical(RECIPIENTS_DERIVED)
    await (await dying.send(topic, b"nobody may know this yet", partition=0))
    await until(lambda: not tails.is_fresh())

    await dying.abort_transaction()
    await asyncio.wait_for(tails.wait_until_fresh(), 10.0)
    await dying.stop()


async def test_a_quiet_tail_stays_fresh(desk: Desk, follower: Follower) -> None:
    await follower.tails.start(follower.errors.append)
    await follower.tails.catch_up()
    seen: set[bool] = set()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_watch(follower.tails, seen), 3 * MAX_AGE_SECONDS)

    assert seen == {True}


async def _watch(tails: Tails, seen: set[bool]) -> None:
    while True:
        seen.add(tails.is_fresh())
        await asyncio.sleep(0.01)
