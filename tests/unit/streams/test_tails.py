"""Tails hold calls back until everything that could stop a delivery has been read."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from schemas.kafka import InboundRecord, TopicPartition
from streams.lease import CallPermit, HeartbeatLease
from streams.tails import Tails

MAX_AGE_SECONDS = 3.0
STOPS = TopicPartition("recipients.changed", 0)


class MemoryReader:
    """A topic in memory; `arrive` makes records readable, `end` is what the broker says."""

    def __init__(self) -> None:
        self.end = 0
        self.is_asked = asyncio.Event()
        self.error: Exception | None = None
        self.at_once = 1
        self._position = self._read = 0
        self._arrived: asyncio.Queue[int] = asyncio.Queue()

    async def start(self) -> None: ...

    async def ends(self) -> Mapping[TopicPartition, int]:
        self.is_asked.set()
        if self.error is not None:
            raise self.error
        return {STOPS: self.end}

    def position(self, place: TopicPartition) -> int:
        return self._position

    async def read(self) -> Sequence[InboundRecord]:
        self._position = self._read
        if self._arrived.empty():
            await asyncio.sleep(0)
            return []
        found = list[InboundRecord]()
        while len(found) < self.at_once and not self._arrived.empty():
            found.append(InboundRecord(*STOPS, self._arrived.get_nowait(), 0, None, b"stop"))
        self._read = found[-1].offset + 1
        return found

    async def close(self) -> None: ...

    def arrive(self, count: int) -> None:
        for _ in range(count):
            self._arrived.put_nowait(self._read + self._arrived.qsize())


class Bench:
    def __init__(self) -> None:
        self.now_seconds = 100.0
        self.reader = MemoryReader()
        self.fed: list[int] = []
        self.seconds_a_record = 0.0
        self.died: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.tails = Tails(
            reader=self.reader,
            feed=self._feed,
            now_seconds=lambda: self.now_seconds,
            max_age_seconds=MAX_AGE_SECONDS,
            ask_seconds=0,
        )

    async def start(self) -> None:
        await self.tails.start(self.died.set_result)

    def _feed(self, record: InboundRecord) -> None:
        self.fed.append(record.offset)
        self.now_seconds += self.seconds_a_record

    async def until_asked(self) -> None:
        """The end was asked once more, and what was readable before has been read."""
        for _ in range(3):
            self.reader.is_asked.clear()
            await self.reader.is_asked.wait()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.tails.close()


async def is_over(task: "asyncio.Task[None]") -> bool:
    """Whether the task ends in as many turns of the loop as it could possibly need."""
    for _ in range(20):
        await asyncio.sleep(0)
    return task.done()


async def test_nothing_is_fresh_before_the_first_end_was_reached(bench: Bench) -> None:
    bench.reader.end = 2
    await bench.start()
    caught_up = asyncio.create_task(bench.tails.catch_up())
    bench.reader.arrive(1)
    assert not await is_over(caught_up)
    assert not bench.tails.is_fresh()

    bench.reader.arrive(1)
    await caught_up

    assert bench.tails.is_fresh()
    assert bench.fed == [0, 1]


async def test_a_tail_without_records_is_at_its_end_at_once(bench: Bench) -> None:
    await bench.start()

    await bench.tails.catch_up()

    assert bench.tails.is_fresh()


async def test_an_end_that_cannot_be_reached_makes_a_tail_stale(bench: Bench) -> None:
    await bench.start()
    await bench.until_asked()

    bench.reader.end = 1  # somebody's open transaction: the end is there, the record is not
    bench.now_seconds += MAX_AGE_SECONDS - 0.1
    assert bench.tails.is_fresh()
    bench.now_seconds += 0.1
    assert not bench.tails.is_fresh()

    waiting = asyncio.create_task(bench.tails.wait_until_fresh())
    assert not await is_over(waiting)
    bench.reader.arrive(1)
    await waiting
    assert bench.tails.is_fresh()


async def test_the_age_counts_from_when_the_end_was_asked_for(bench: Bench) -> None:
    bench.reader.end = 1
    await bench.start()
    await bench.reader.is_asked.wait()

    bench.reader.end = 2  # and it took long to reach the first one
    bench.now_seconds += MAX_AGE_SECONDS
    bench.reader.arrive(1)
    await bench.tails.catch_up()

    assert not bench.tails.is_fresh()


async def test_a_long_backlog_leaves_others_their_turns(bench: Bench) -> None:
    bench.reader.end = 100
    bench.reader.arrive(100)
    bench.reader.at_once = 100
    bench.seconds_a_record = 0.001
    await bench.start()

    while not bench.fed:  # noqa: ASYNC110  # turns of the loop are what is looked at
        await asyncio.sleep(0)
    assert len(bench.fed) < 10
    assert not bench.tails.is_fresh()

    await bench.tails.catch_up()
    assert bench.fed == list(range(100))


async def test_an_error_of_the_reader_is_told_for_stops_would_be_missed(bench: Bench) -> None:
    bench.reader.error = RuntimeError("gone")

    await bench.start()

    assert await bench.died is bench.reader.error


async def test_a_call_needs_the_lease_and_fresh_tails(bench: Bench) -> None:
    lease = HeartbeatLease(
        session_seconds=100, margin_seconds=0, now_seconds=lambda: bench.now_seconds
    )
    lease.bind(asyncio.get_running_loop())
    permit = CallPermit(lease, bench.tails)
    waiting = asyncio.create_task(permit.wait_until_good())
    bench.reader.end = 1
    await bench.start()
    assert not permit.is_good()

    lease.renew(bench.now_seconds)
    assert not await is_over(waiting), "an opt-out may not have been read"
    bench.reader.arrive(1)
    await waiting
    assert permit.is_good()

    bench.now_seconds += 100
    await bench.until_asked()
    assert bench.tails.is_fresh()
    assert not permit.is_good(), "somebody else may have the partition by now"
