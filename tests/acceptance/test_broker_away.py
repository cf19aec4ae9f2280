"""The whole pipeline while its only broker is away: a clear line, nothing lost, by itself again.

For seconds as a rule; for ten minutes with `POSTRIDER_OUTAGE_SECONDS=600`.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

from schemas.receipt import Receipt
from streams.embedded_kafka import EmbeddedKafka
from streams.topology import ROLES
from tests.acceptance.pipeline_lab import Pipeline, changed_config, pipeline
from tests.acceptance.test_pipeline_faults import ask, at_rest, check, introduce, unrest

AWAY_SECONDS = float(os.environ.get("POSTRIDER_OUTAGE_SECONDS", "12"))
"""Longer than a session may last here. What a broker gives up while it is away for longer than a
transaction (30 s) is seen with 600, and with quicker workers in `test_worker_faults`."""
SESSION = "9s"
"""A broker that is back on a busy machine may take seconds until it has answered every heartbeat."""
LATE = "in_app"
"""Its worker is started while the broker is away."""


@contextlib.asynccontextmanager
async def load(opened: Pipeline) -> AsyncIterator[list[int]]:
    """Requests while the body runs, each until Kafka has accepted it; the list holds them all."""
    asked: list[int] = []
    is_over = asyncio.Event()

    async def ask_until_accepted(number: int) -> None:
        while True:
            try:
                return await ask(opened, number)
            except KafkaError:
                await asyncio.sleep(0.5)  # a producer's own back-off

    async def ask_all() -> None:
        while not is_over.is_set():
            await ask_until_accepted(len(asked))
            asked.append(len(asked))
            await asyncio.sleep(0.05)  # the load's own rhythm

    asking = asyncio.create_task(ask_all())
    try:
        yield asked
    finally:
        is_over.set()
        await asking


async def until_each_channel_goes_on(opened: Pipeline, *, within_seconds: float) -> None:
    known = len(opened.receipts)

    def is_going_on() -> bool:
        sent = {each.channel for each in opened.receipts[known:] if each.status == "sent"}
        return {"push", "email", "sms"} <= sent

    assert await opened.until(is_going_on, within_seconds=within_seconds), "a channel stands still"


async def until_it_says(opened: Pipeline, role: str, message: str) -> None:
    while message not in {each["message"] for each in opened.said(role)}:  # noqa: ASYNC110
        await asyncio.sleep(0.1)  # there is nothing to await: another process writes it


def in_doubt(opened: Pipeline) -> set[str]:
    return {each.delivery_id for each in opened.receipts if each.status == "in_doubt"}


def told(opened: Pipeline, role: str) -> Counter[tuple[str, str]]:
    """How often the role's worker has said what, and why; but that it has partitions, which is news."""
    said = [(each["message"], each.get("why", "")) for each in opened.said(role)]
    return Counter(each for each in said if each[0] != "partitions taken over")


def first_of(opened: Pipeline, delivery_id: str) -> Receipt:
    return next(each for each in opened.receipts if each.delivery_id == delivery_id)


@pytest.mark.timeout(240 + 3 * AWAY_SECONDS)
async def test_a_broker_that_is_away_is_waited_out_by_everybody(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    file = changed_config(tmp_path, "session_timeout: 20s", f"session_timeout: {SESSION}")
    options = {"file": file, "supervised": True}
    early = [role for role in ROLES if role != LATE]
    async with pipeline(kafka.bootstrap, tmp_path, roles=early, **options) as opened:
        await introduce(opened)
        async with load(opened) as asked:
            await until_each_channel_goes_on(opened, within_seconds=60)

            before = {role: told(opened, role) for role in early}
            kafka.kill()
            try:
                opened.start(LATE)
                await until_it_says(opened, LATE, "waiting for Kafka")
                assert await asyncio.to_thread(opened.terminate, LATE) == 0
                await asyncio.sleep(AWAY_SECONDS)
            finally:
                kafka.start()
            await until_each_channel_goes_on(opened, within_seconds=30)
            lines = {role: told(opened, role) - before[role] for role in early}
            ends = [each for role in ROLES for each in opened.said(role) if "code" in each]
            assert ends == [], "nobody had to end"
            assert in_doubt(opened) == set()

            left_at = datetime.now(UTC).isoformat()
            kafka.pause()  # its connections are there, and nobody answers
            try:
                await asyncio.sleep(AWAY_SECONDS)
            finally:
                kafka.resume()
            await until_each_channel_goes_on(opened, within_seconds=60)

        is_at_rest = await opened.until(lambda: at_rest(opened, len(asked)), within_seconds=90)
        assert is_at_rest, unrest(opened, len(asked))
        await check(opened, may_doubt=True)
        was_open = {
            each for each in in_doubt(opened) if first_of(opened, each).recorded_at < left_at
        }
        assert in_doubt(opened) == was_open, "no call was begun while it was away"
        for role in early:
            once_a_minute = 1 + AWAY_SECONDS / 60
            assert max(lines[role].values()) <= once_a_minute, f"{role}: {lines[role]}"
            assert len(lines[role]) <= 6, f"{role} says too many things: {lines[role]}"
            waits = [why for message, why in lines[role].elements() if "transaction" in message]
            assert len(waits) <= once_a_minute, f"{role} says so for each partition: {waits}"
