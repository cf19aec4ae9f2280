"""A changelog's committed records as our own reader finds them, beside what aiokafka's consumer says."""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError
from aiokafka.protocol.fetch import FetchResponse_v11

from schemas.kafka import TopicPartition
from streams.committed import CommittedRecord
from streams.embedded_kafka import EmbeddedKafka
from streams.fetching import PartitionFetcher
from streams.restore import ChangelogReader
from tests.integration.streams.desk import OUT, Desk
from tests.integration.streams.kafka_proxy import FETCH, KafkaProxy

Found = tuple[int, bytes | None, bytes | None]
ONE_BATCH, SOME, ALL = 1, 3000, 1 << 20
"""Bytes to fetch at once. A batch that is larger comes whole."""
PLACE = TopicPartition(OUT, 0)
_NOT_LEADER, _MAY_NOT_READ = 6, 29


def reader_of(desk: Desk, **connection: Any) -> ChangelogReader:
    return ChangelogReader(
        names=desk.names, connection={**desk.connection, **connection}, patience=desk.patience
    )


class Sunk(list[Found]):
    """What a read has handed over, and how far it has come."""

    last_offset = -1

    def sink(self, records: Iterable[CommittedRecord], last_offset: int) -> None:
        self.last_offset = last_offset
        self += [(each.offset, each.key, each.value) for each in records]


async def read(desk: Desk, start: int, end: int) -> list[Found]:
    found = Sunk()
    await reader_of(desk).read(PLACE, start, end, found.sink)
    return found


async def fetch_all(desk: Desk, topic: str, start: int, fetch_bytes: int) -> list[Found]:
    """From `start` to the end, so many bytes at once."""
    place = TopicPartition(topic, 0)
    _, end = (await reader_of(desk).bounds([place]))[place]
    client = AIOKafkaClient(**desk.connection)
    found = Sunk()
    try:
        await client.bootstrap()
        fetcher = PartitionFetcher(client, desk.place(topic), fetch_bytes=fetch_bytes)
        while start < end:
            fetched = await fetcher.fetch(start)
            start = fetched.next_position
            found.sink(fetched.records(end), start - 1)
    finally:
        await client.close()
    return found


async def append(
    desk: Desk, *values: bytes, topic: str = OUT, key: bytes = b"k", is_aborted: bool = False
) -> list[Found]:
    """As one batch of one transaction; where they are."""
    async with desk.producer() as producer:
        await producer.begin_transaction()
        sent = [
            await producer.send(desk.names.physical(topic), value, key, partition=0)
            for value in values
        ]
        appended = await asyncio.gather(*sent)
        await (producer.abort_transaction() if is_aborted else producer.commit_transaction())
    return [(at.offset, key, value) for at, value in zip(appended, values, strict=True)]


async def append_a_lot(desk: Desk) -> None:
    """Several fetches of it, compressed or not."""
    randomness = random.Random(3)
    await append(desk, *(randomness.randbytes(10_000) for _ in range(300)))


class Scribblers:
    """Producers that write to one topic at once, and commit or abort whenever they feel like it."""

    def __init__(self, desk: Desk, randomness: random.Random) -> None:
        self._topic = desk.names.physical(OUT)
        self._random = randomness
        self._transactional = [desk.producer(f"scribbler-{number}") for number in range(4)]
        self._plain = AIOKafkaProducer(**desk.connection, compression_type="zstd")
        self._open: set[AIOKafkaProducer] = set()
        self._count = 0

    async def scribble(self, steps: int) -> None:
        async with AsyncExitStack() as producers:
            for producer in (*self._transactional, self._plain):
                await producers.enter_async_context(producer)
            for _ in range(steps):
                await self._step(self._random.choice([*self._transactional, self._plain]))
            for producer in list(self._open):
                await self._end(producer)

    async def _step(self, producer: AIOKafkaProducer) -> None:
        if producer in self._open and self._random.random() < 0.3:
            return await self._end(producer)
        if producer is not self._plain and producer not in self._open:
            await producer.begin_transaction()
            self._open.add(producer)
        await asyncio.gather(
            *[await self._send(producer) for _ in range(self._random.randint(1, 9))]
        )
        return None

    async def _send(self, producer: AIOKafkaProducer) -> Any:
        self._count += 1
        value = self._random.randbytes(self._random.randint(0, 200))
        return await producer.send(self._topic, value, b"%d" % self._count, partition=0)

    async def _end(self, producer: AIOKafkaProducer) -> None:
        self._open.remove(producer)
        if self._random.random() < 0.5:
            await producer.commit_transaction()
        else:
            await producer.abort_transaction()


@pytest.mark.parametrize("seed", range(3))
async def test_it_finds_what_a_consumer_finds_wherever_it_begins_and_however_much_it_fetches(
    desk: Desk, seed: int
) -> None:
    randomness = random.Random(seed)
    await Scribblers(desk, randomness).scribble(steps=150)
    expected = await desk.read(OUT)
    everything = await desk.read(OUT, "read_uncommitted")
    assert 0 < len(expected) < len(everything)

    for fetch_bytes in (ONE_BATCH, SOME, ALL):
        for start in (0, *randomness.sample(range(everything[-1][0]), 5)):
            found = await fetch_all(desk, OUT, start, fetch_bytes)
            assert found == [each for each in expected if each[0] >= start]


async def test_it_begins_and_ends_in_the_middle_of_a_batch(desk: Desk) -> None:
    await append(desk, b"0", b"1", b"2", b"3", b"4")
    assert [value for *_, value in await read(desk, 1, 4)] == [b"1", b"2", b"3"]


async def test_a_batch_larger_than_what_is_fetched_at_once_comes_whole(desk: Desk) -> None:
    await append(desk, *(b"%d" % number * 100 for number in range(50)))
    assert await fetch_all(desk, OUT, 0, ONE_BATCH) == await desk.read(OUT)


async def test_gaps_that_compaction_left_are_passed(desk: Desk) -> None:
    topic = "compacted"
    settings = {
        "cleanup.policy": "compact", "segment.ms": "50", "min.cleanable.dirty.ratio": "0.01",
    }  # fmt: skip
    new = NewTopic(desk.names.physical(topic), 1, 1, topic_configs=settings)
    await desk.admin.create_topics([new])
    full: list[Found] = []
    for number in range(20):
        await append(desk, b"aborted", topic=topic, is_aborted=True)
        full += await append(desk, b"0", b"1", b"2", topic=topic, key=b"%d" % (number % 7))
    # It goes on for as long as it likes, but never takes the last record of a key.
    while len(compacted := await fetch_all(desk, topic, 0, SOME)) > len(full) // 2:
        full += await append(desk, b"in another segment", topic=topic)

    assert {offset for offset, *_ in compacted} < {offset for offset, *_ in full}
    for start in range(0, full[-1][0], 3):
        found = await fetch_all(desk, topic, start, ALL)
        assert all(offset >= start for offset, *_ in found)
        assert last_of_each_key(found) == last_of_each_key(full, start)


def last_of_each_key(found: Sequence[Found], start: int = 0) -> Mapping[bytes | None, Found]:
    return {each[1]: each for each in found if each[0] >= start}


@pytest.mark.parametrize("start", [1, 9], ids=["cut off", "not written yet"])
async def test_an_offset_that_is_not_there_is_never_passed_over(desk: Desk, start: int) -> None:
    await append(desk, b"0", b"1", b"2")
    await desk.admin.delete_records({desk.place(OUT): RecordsToDelete(2)})

    with pytest.raises(OffsetOutOfRangeError, match=f"{OUT}:0 at {start}"):
        await read(desk, start, 10)


async def test_a_read_tells_that_it_came_to_the_end_though_nothing_there_counts(desk: Desk) -> None:
    committed = await append(desk, b"0", b"1")
    await append(desk, b"never committed", is_aborted=True)
    (_, end) = (await reader_of(desk).bounds([PLACE]))[PLACE]
    found = Sunk()

    await reader_of(desk).read(PLACE, 0, end, found.sink)

    assert found == committed
    assert found.last_offset == end - 1


async def test_a_read_that_was_cut_off_goes_on_where_it_was(desk: Desk) -> None:
    await append_a_lot(desk)
    expected = await desk.read(OUT)
    found = Sunk()

    async with KafkaProxy(desk.bootstrap) as proxy:

        def sink(records: Iterable[CommittedRecord], last_offset: int) -> None:
            if not found:
                proxy.hold(FETCH)
            found.sink(records, last_offset)

        async def cut() -> None:
            (await proxy.held()).hang_up()

        cutting = asyncio.create_task(cut())
        reader = reader_of(desk, bootstrap_servers=proxy.bootstrap)
        await reader.read(PLACE, 0, expected[-1][0] + 1, sink)
        await cutting

    assert found == expected


async def test_a_read_waits_for_a_broker_that_is_away_and_says_so(
    desk: Desk, kafka: EmbeddedKafka
) -> None:
    await append_a_lot(desk)
    expected = await desk.read(OUT)
    found = Sunk()

    def sink(records: Iterable[CommittedRecord], last_offset: int) -> None:
        if not found:
            kafka.pause()
        found.sink(records, last_offset)

    reader = reader_of(desk, request_timeout_ms=300)
    reading = asyncio.create_task(reader.read(PLACE, 0, expected[-1][0] + 1, sink))
    try:
        why = await desk.said.next()
    finally:
        kafka.resume()
    await reading

    assert why == "Kafka is not ready: RequestTimedOutError"
    assert found == expected


def refusal(desk: Desk, code: int) -> bytes:
    partition: tuple[Any, ...] = (0, code, -1, -1, -1, [], -1, None)
    encoded: bytes = FetchResponse_v11(0, 0, 0, [(desk.names.physical(OUT), [partition])]).encode()
    return encoded


async def read_answered(desk: Desk, answer: bytes) -> list[bytes | None]:
    """What is read when this is said instead of the leader's first answer."""
    found = Sunk()
    async with KafkaProxy(desk.bootstrap) as proxy:
        proxy.hold(FETCH)
        reader = reader_of(desk, bootstrap_servers=proxy.bootstrap)
        reading = asyncio.create_task(reader.read(PLACE, 0, 1, found.sink))
        (await proxy.held()).reply(answer)
        await reading
    return [value for *_, value in found]


async def test_another_leader_is_looked_for_when_one_says_that_it_is_none(desk: Desk) -> None:
    await append(desk, b"here")
    assert await read_answered(desk, refusal(desk, _NOT_LEADER)) == [b"here"]
    assert await desk.said.next() == "Kafka is not ready: NotLeaderForPartitionError"


async def test_a_leader_that_slows_us_down_is_asked_again(desk: Desk) -> None:
    await append(desk, b"here")
    throttled: bytes = FetchResponse_v11(100, 0, 0, []).encode()
    assert await read_answered(desk, throttled) == [b"here"]


async def test_what_waiting_does_not_mend_is_raised(desk: Desk) -> None:
    await append(desk, b"here")
    with pytest.raises(TopicAuthorizationFailedError):
        await read_answered(desk, refusal(desk, _MAY_NOT_READ))
