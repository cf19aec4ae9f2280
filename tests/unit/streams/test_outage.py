"""A worker that hears nothing of Kafka says why, and when that is over."""

import asyncio
import contextlib
import logging

import pytest

from streams.outage import Reminder, tell_outages
from streams.reaching import Unreachable


class Kafka:
    """Heard or not, and reached or not."""

    def __init__(self) -> None:
        self.is_heard = False
        self.why: str | None = "kafka.bootstrap: no Kafka answers"
        self.looks: asyncio.Queue[None] = asyncio.Queue()

    def look(self) -> bool:
        self.looks.put_nowait(None)
        return self.is_heard

    async def reach(self) -> None:
        if self.why is not None:
            raise Unreachable(self.why)


async def looked_at(kafka: Kafka, times: int = 3) -> None:
    """What the first of these looks found has been acted upon."""
    for _ in range(times):
        await kafka.looks.get()


async def test_an_outage_is_told_once_a_reason_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "postrider.kafka")
    kafka = Kafka()
    watching = asyncio.create_task(tell_outages(kafka.reach, kafka.look, look_seconds=0))

    await looked_at(kafka)
    kafka.why = "kafka.security.password: refused"
    await looked_at(kafka)
    kafka.is_heard = True
    await looked_at(kafka)

    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    told = [(record.getMessage(), getattr(record, "why", None)) for record in caplog.records]
    assert told == [
        ("waiting for Kafka", "kafka.bootstrap: no Kafka answers"),
        ("waiting for Kafka", "kafka.security.password: refused"),
        ("Kafka answers again", None),
    ]


async def test_a_worker_that_is_not_heard_yet_though_kafka_answers_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kafka = Kafka()
    kafka.why = None
    watching = asyncio.create_task(tell_outages(kafka.reach, kafka.look, look_seconds=0))

    await looked_at(kafka)

    watching.cancel()
    assert caplog.records == []


def test_a_reason_that_lasts_is_told_again_every_minute() -> None:
    told: list[str] = []
    now = 0.0
    reminder = Reminder(told.append, monotonic_seconds=lambda: now)

    for _ in range(125):
        reminder.note("away")
        now += 1.0

    assert told == ["away"] * 3
