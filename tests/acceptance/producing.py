"""A producer in front of the pipeline, who may get anything wrong, and what is answered."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from schemas import topics
from schemas.dead_letter import DeadLetter
from schemas.ids import partition_of
from schemas.kafka import Headers
from schemas.receipt import Receipt
from streams.demo.lag import Lag
from tests.acceptance.pipeline_lab import PARTITIONS, Pipeline

SECONDS = 60
NOW = "2026-11-24T12:00:00Z"


class Place(NamedTuple):
    """Where a record was appended."""

    topic: str
    partition: int
    offset: int


def order(user_id: str, key: str = "", **fields: Any) -> dict[str, Any]:
    """A request that needs nobody's address: it goes into the inbox."""
    said = {
        "user_id": user_id, "type": "order_confirmed", "channels": ["in_app"],
        "data": {"order_id": "7", "total": "1 EUR"},
    }  # fmt: skip
    return said | ({"idempotency_key": key} if key else {}) | fields


def change(user_id: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "user_id": user_id, "change": kind, "source": "producer", "occurred_at": NOW, **fields
    }  # fmt: skip


async def write(
    opened: Pipeline,
    topic: str,
    said: Mapping[str, Any] | bytes | None,
    *,
    partition: int | None = None,
    headers: Headers = (),
    key: bytes | None = None,
) -> Place:
    """To the user's partition, if it names one and no other is asked for."""
    if partition is None:
        user_id = said.get("user_id") if isinstance(said, Mapping) else None
        partition = partition_of(user_id, PARTITIONS) if user_id else 0
    value = json.dumps(said).encode() if isinstance(said, Mapping) else said
    if value is None and key is None:
        key = b"anybody"  # a record without either is nothing
    at = await opened.append(topic, value, partition=partition, key=key, headers=headers)
    return Place(topic, partition, at.offset)


async def told(
    opened: Pipeline, user_id: str, is_enough: Callable[[list[Receipt]], bool]
) -> list[Receipt]:
    """The user's receipts, in the order they were written, once these are enough."""

    def found() -> list[Receipt]:
        return [each for each in opened.receipts if each.user_id == user_id]

    await opened.until(lambda: is_enough(found()), within_seconds=SECONDS)
    assert is_enough(found()), f"only these were told of {user_id}: {found()}"
    return found()


def of_status(receipts: list[Receipt], status: str) -> list[Receipt]:
    return [each for each in receipts if each.status == status]


async def letters_at(opened: Pipeline, places: list[Place]) -> dict[Place, DeadLetter]:
    """The dead letters of these records; there is exactly one of each."""
    wanted = set(places)

    def found() -> list[tuple[Place, DeadLetter]]:
        return [
            (at, each)
            for each in opened.letters
            if (at := Place(each.topic, each.partition, each.offset)) in wanted
        ]

    await opened.until(lambda: len(found()) >= len(places), within_seconds=SECONDS)
    assert sorted(at for at, _ in found()) == sorted(places)
    return dict(found())


async def forwarded_records(opened: Pipeline, topic: str) -> list[Any]:
    """All that was ever forwarded of a topic, as it is on Kafka."""
    name = opened.config.kafka.names.physical(topics.forwarded(topic))
    places = [TopicPartition(name, number) for number in range(PARTITIONS)]
    found: list[Any] = []
    async with AIOKafkaConsumer(
        **opened.config.kafka.connection(),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, 0)
            while await consumer.position(place) < ends[place]:
                found += (await consumer.getmany(place, timeout_ms=100)).get(place, [])
    return found


def forwarded_so_far(opened: Pipeline, topic: str) -> float:
    labels = f'role="decide",slot="0",topic="{topic}"'
    counted = opened.metrics("decide")
    return counted.get(f"postrider_records_forwarded_total{{{labels}}}", 0.0)


async def at_rest(opened: Pipeline) -> None:
    """Until every role has read all there is, nothing is on its way, and no worker has anything to
    add."""
    # Of whoever was killed before its group had offsets, nothing would seem to wait.
    await opened.until_ready()
    lag = Lag(connection=opened.config.kafka.connection(), names=opened.config.kafka.names)
    await lag.start()
    calm = 0
    async with asyncio.timeout(3 * SECONDS):
        while calm < 3:
            assert all(worker.poll() is None for worker in opened.workers.values())
            told = len(opened.receipts), len(opened.letters)
            await asyncio.sleep(0.7)  # the groups' offsets are written once a second
            is_waiting = any(each.status == "queued" for each in opened.latest().values())
            is_calm = told == (len(opened.receipts), len(opened.letters)) and not is_waiting
            calm = calm + 1 if is_calm and not await lag.waiting() else 0
    await lag.close()
