"""How fresh a decision is: it knows what people said until a moment before, though nobody spoke."""

import asyncio
from pathlib import Path

import pytest

from policies.clock import SystemClock
from schemas import topics
from schemas.delivery import LANES, decode_batch
from streams.embedded_kafka import EmbeddedKafka
from streams.topology import DECIDE
from tests.acceptance.scripted_lab import scripted
from tests.acceptance.talking import mail, until_settled


@pytest.mark.timeout(120)
async def test_a_decision_knows_what_was_said_until_a_moment_before_though_nobody_said_anything(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with scripted(kafka.bootstrap, tmp_path, roles=(DECIDE, "email")) as opened:
        await opened.until_ready()
        await asyncio.sleep(3.0)  # a silence cannot be awaited: it is what is asked about
        begun_ms = SystemClock().now_ms()
        await until_settled(opened, await mail(opened, "uneventful"))

        records = [
            record
            for lane in LANES
            for record in await opened.records(topics.deliveries("email", lane))
        ]

        assert records
        for record in records:
            assert decode_batch(record.value or b"").released_ms > begun_ms - 1_000
