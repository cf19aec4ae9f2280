"""What people said before a take-over is read before anything is decided for them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.stage import Batch, Effects, Item
from schemas.kafka import Record, TopicPartition
from streams.engine import partition
from streams.engine.routes import Source, Topology
from tests.simulation.small import SmallEnvelopes
from tests.unit.engine.bench import Bench

WORDS, REQUESTS = "recipients.changed", "notifications.requested"


@dataclass
class Hearing:
    """A stage that notes what it is handed."""

    name: str
    heard: list[bytes] = field(default_factory=list)

    async def handle(self, batch: Batch[bytes]) -> AsyncIterator[Effects]:
        self.heard += [item.value for item in batch.items]
        yield Effects(done=list(batch.items))

    def give_up(self, batch: Batch[Any], item: Item[Any], cause: str) -> Effects:
        raise AssertionError("nothing here fails")


class DecidingBench(Bench):
    """A role that is told words and requests, each by a topic of its own."""

    heard: list[bytes]

    def topology(self) -> Topology:
        self.heard = []
        stage = Hearing("hear", self.heard)
        sources = (
            Source(WORDS, stage, _value, priority=0, tells_state=True),
            Source(REQUESTS, stage, _value, priority=1),
        )
        return Topology("decide", sources, (), SmallEnvelopes())

    async def take_over(self) -> None:
        self.runner = self.new_life()
        await self.runner.partitions_assigned({0})

    def append(self, topic: str, value: bytes) -> None:
        self.broker.append(Record(topic, 0, value))

    def fetch(self, topic: str) -> None:
        """What the broker has of it comes in."""
        for record in self.broker.read_committed(TopicPartition(topic, 0), 0, 100)[0]:
            self.runner.push(record)


def _value(record: Any) -> bytes:
    return bytes(record.value)


@pytest.fixture
async def bench() -> AsyncIterator[DecidingBench]:
    bench = DecidingBench()
    yield bench
    bench.runner.kill()
    assert bench.deaths == []


async def test_a_request_that_is_fetched_first_waits_for_what_was_said_before(
    bench: DecidingBench,
) -> None:
    bench.append(WORDS, b"opt out")
    bench.append(REQUESTS, b"news")
    await bench.take_over()

    bench.fetch(REQUESTS)
    bench.fetch(WORDS)
    await bench.until(lambda: len(bench.heard) == 2)

    assert bench.heard == [b"opt out", b"news"]


async def test_what_is_said_after_a_take_over_keeps_no_request_waiting(
    bench: DecidingBench,
) -> None:
    await bench.take_over()
    bench.append(WORDS, b"opt out")
    bench.append(REQUESTS, b"news")

    bench.fetch(REQUESTS)
    await bench.until(lambda: bench.heard == [b"news"])


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "HEAD_START_SECONDS", 0.05)


@pytest.mark.usefixtures("no_patience")
async def test_an_end_that_is_never_reached_keeps_no_request_waiting_for_ever(
    bench: DecidingBench,
) -> None:
    bench.append(WORDS, b"of a transaction whose marker follows")
    bench.append(REQUESTS, b"code")
    await bench.take_over()

    bench.fetch(REQUESTS)

    await bench.until(lambda: bench.heard == [b"code"])
