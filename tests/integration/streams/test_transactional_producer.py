"""What a transaction asks of a real Kafka, and what becomes of it when an answer does not come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import (
    ConcurrentTransactions,
    KafkaError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    OperationNotAttempted,
    ProducerFenced,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)

from policies.clock import SystemClock
from streams.batches import batches_of
from streams.refusals import BrokerFailed, OnceAMinute, Retries, worst_of
from streams.transactional_producer import TransactionalProducer
from streams.watched_clock import WatchedClock
from tests.integration.streams.desk import OUT, Desk
from tests.integration.streams.kafka_proxy import (
    END_TRANSACTION,
    FIND_COORDINATOR,
    PRODUCE,
    KafkaProxy,
)

FENCED, NEWLY_FENCED = 47, 90
NOT_LEADER, FEW_REPLICAS, FORBIDDEN, MARKERS, NOT_TRIED = 6, 19, 29, 51, 55
LOST_BY_THE_LEADER = 13
FAILED = -1


@asynccontextmanager
async def producer_of(desk: Desk, bootstrap: str) -> AsyncIterator[TransactionalProducer]:
    producer = TransactionalProducer(
        {"bootstrap_servers": bootstrap},
        transactional_id=desk.names.transactional_id("any", 0),
        timeout_ms=10_000,
        clock=WatchedClock(SystemClock()),
        voice=OnceAMinute(),
    )
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


async def append(producer: TransactionalProducer, desk: Desk, *values: bytes) -> int:
    """The offset of the last one."""
    place = desk.place(OUT)
    spans = await producer.commit({place: batches_of([(None, each, ()) for each in values])})
    _, last = spans[place]
    return last


async def test_a_lookup_of_the_coordinator_that_is_cut_is_tried_again(desk: Desk) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        proxy.hold(FIND_COORDINATOR)

        async def cut() -> None:
            (await proxy.held()).hang_up()

        cutting = asyncio.create_task(cut())
        async with producer_of(desk, proxy.bootstrap) as producer:
            await cutting
            assert producer.is_clean, "nothing of a transaction is on its way"

            await append(producer, desk, b"one")

    assert await desk.values(OUT) == [b"one"]


@pytest.mark.parametrize("moment", [PRODUCE, END_TRANSACTION])
async def test_what_arrived_without_an_answer_is_asked_again_and_done_once(
    desk: Desk, moment: int
) -> None:
    async with (
        KafkaProxy(desk.bootstrap) as proxy,
        producer_of(desk, proxy.bootstrap) as producer,
    ):
        proxy.hold(moment)
        appending = asyncio.create_task(append(producer, desk, b"one", b"two"))
        request = await proxy.held()
        await request.release()
        request.hang_up()

        assert await appending == 1
        assert not producer.is_clean, "the twin may arrive yet"

    assert await desk.values(OUT) == [b"one", b"two"]


@pytest.mark.parametrize("has_arrived", [True, False])
async def test_a_coordinator_that_does_not_know_what_became_of_it_is_asked_again(
    desk: Desk, has_arrived: bool
) -> None:
    """As one does that hung, and is none any more when it wakes."""
    async with (
        KafkaProxy(desk.bootstrap) as proxy,
        producer_of(desk, proxy.bootstrap) as producer,
    ):
        proxy.hold(END_TRANSACTION)
        appending = asyncio.create_task(append(producer, desk, b"one", b"two"))
        request = await proxy.held()
        if has_arrived:
            await request.release()
        request.reply(bytes(4) + FAILED.to_bytes(2, "big", signed=True))

        assert await appending == 1
        assert not producer.is_clean, "the first may be done yet"

    assert await desk.values(OUT) == [b"one", b"two"]


async def test_a_commit_that_was_left_in_the_middle_needs_a_new_producer(desk: Desk) -> None:
    async with (
        KafkaProxy(desk.bootstrap) as proxy,
        producer_of(desk, proxy.bootstrap) as producer,
    ):
        proxy.hold(END_TRANSACTION)
        appending = asyncio.create_task(append(producer, desk, b"one"))
        await proxy.held()

        appending.cancel()
        await asyncio.wait([appending])

        assert not producer.is_clean


async def test_sequences_begin_again_behind_the_last_there_is(desk: Desk) -> None:
    async with producer_of(desk, desk.bootstrap) as producer:
        producer._sequences[desk.place(OUT)] = 2**31 - 2

        for value in (b"a", b"b", b"c"):
            await append(producer, desk, value, value)

        assert producer._sequences[desk.place(OUT)] == 4
    assert await desk.values(OUT) == [b"a", b"a", b"b", b"b", b"c", b"c"]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((0, 0), None),
        ((FORBIDDEN, FENCED), ProducerFenced),
        ((NEWLY_FENCED, MARKERS), ProducerFenced),
        ((NOT_TRIED, NOT_LEADER, FORBIDDEN), TopicAuthorizationFailedError),
        ((FEW_REPLICAS, 0, NOT_LEADER), NotLeaderForPartitionError),
        ((NOT_TRIED, MARKERS), ConcurrentTransactions),
        ((NOT_TRIED, FEW_REPLICAS), NotEnoughReplicasError),
        ((NOT_TRIED,), OperationNotAttempted),
        ((LOST_BY_THE_LEADER,), RequestTimedOutError),
        ((FAILED, FORBIDDEN), TopicAuthorizationFailedError),
        ((FAILED, 0), BrokerFailed),
    ],
)
def test_of_several_errors_the_gravest_decides(
    codes: tuple[int, ...], expected: type[KafkaError] | None
) -> None:
    worst = worst_of(("topic", code) for code in codes)

    assert worst is None if expected is None else type(worst) is expected


async def test_who_is_asked_again_is_asked_less_and_less_often_and_it_is_told_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slept: list[float] = []
    voice = OnceAMinute(lambda: sum(slept))

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    back_to_back, away = Retries(voice, sleep), Retries(voice, sleep)
    for _ in range(3):
        await back_to_back.wait(ConcurrentTransactions())
    assert slept == [0.002, 0.004, 0.008]
    assert not caplog.messages

    for _ in range(100):
        await away.wait(NotEnoughReplicasError())
    assert slept[3:5] == [0.02, 0.04]
    assert slept[-1] == 1.0
    assert caplog.messages == ["a transaction waits"] * 2


async def test_many_partitions_that_wait_tell_it_once_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def sleep(seconds: float) -> None:
        """No time passes."""

    voice = OnceAMinute(lambda: 0.0)
    for _ in range(8):
        partition = Retries(voice, sleep)
        for _ in range(20):
            await partition.wait(None)

    assert caplog.messages == ["a transaction waits"]
