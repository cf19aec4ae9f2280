"""A decision knows what people said up to when the broker was last asked for it, and says so."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.stage import Batch, Effects, Item
from schemas.kafka import Record, TopicPartition
from streams.engine.routes import Source, Topology
from tests.simulation.small import SmallEnvelopes
from tests.unit.engine.bench import Bench

WORDS, REQUESTS = (
    TopicPartition("recipients.changed", 0),
    TopicPartition("notifications.requested", 0),
)
TEN_MINUTES_MS = 600_000


@dataclass
class Noting:
    """A stage that notes what each of its batches knows."""

    name: str = "note"
    known_ms: list[int] = field(default_factory=list)

    async def handle(self, batch: Batch[bytes]) -> AsyncIterator[Effects]:
        self.known_ms.append(batch.known_ms)
        yield Effects(done=list(batch.items))

    def give_up(self, batch: Batch[Any], item: Item[Any], cause: str) -> Effects:
        raise AssertionError("nothing here fails")


class DecidingBench(Bench):
    """A role that reads words and requests, of which the test fetches what it likes."""

    def __init__(self) -> None:
        self.deciding = Noting()
        super().__init__()

    def topology(self) -> Topology:
        sources = (
            Source(
                WORDS.topic, Noting(), lambda record: record.value, priority=0, tells_state=True
            ),
            Source(REQUESTS.topic, self.deciding, lambda record: record.value, priority=1),
        )
        return Topology("decide", sources, (), SmallEnvelopes())

    async def take_over(self) -> None:
        await self.runner.partitions_assigned({0})

    def say(self, place: TopicPartition) -> None:
        self.broker.append(Record(place.topic, place.partition, b"said"))

    def fetch(self, place: TopicPartition) -> None:
        for record in self.broker.read_committed(place, 0, 100)[0]:
            self.runner.push(record)

    async def decide(self) -> int:
        """A request that comes now; what is known to who decides on it."""
        before = len(self.deciding.known_ms)
        self.say(REQUESTS)
        self.fetch(REQUESTS)
        await self.until(lambda: len(self.deciding.known_ms) > before)
        return self.deciding.known_ms[-1]


@pytest.fixture
async def bench() -> AsyncIterator[DecidingBench]:
    bench = DecidingBench()
    await bench.take_over()
    yield bench
    bench.runner.kill()
    assert bench.deaths == []


async def test_what_cannot_be_fetched_for_minutes_is_not_taken_for_known(
    bench: DecidingBench,
) -> None:
    taken_over_ms = bench.now_ms
    bench.say(WORDS)
    bench.now_ms += TEN_MINUTES_MS

    assert await bench.decide() == taken_over_ms

    bench.fetch(WORDS)
    bench.last_heard_ms = bench.now_ms

    assert await bench.decide() == bench.now_ms


async def test_where_nobody_says_anything_all_is_known_up_to_when_the_broker_was_asked(
    bench: DecidingBench,
) -> None:
    bench.now_ms += TEN_MINUTES_MS
    bench.last_heard_ms = bench.now_ms - 200

    assert await bench.decide() == bench.now_ms - 200


async def test_nothing_is_forgotten_for_which_a_record_may_come_that_cannot_be_fetched(
    bench: DecidingBench,
) -> None:
    taken_over_ms = bench.now_ms
    bench.now_ms += TEN_MINUTES_MS
    (store,) = bench.stores
    tidied = store.tidied

    await bench.until(lambda: store.tidied > tidied)

    assert store.horizon_ms == taken_over_ms
