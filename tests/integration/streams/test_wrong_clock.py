"""R1 on a real Kafka: a transaction that the broker dates otherwise than its writer is aborted."""

import asyncio

import pytest

from policies.clock import ManualClock, SystemClock
from streams.names import changelog
from streams.transactions import KafkaLog
from streams.watched_clock import ClockAskew, WatchedClock
from tables.state import Kind
from tests.integration.streams.desk import OUT, ROLE, Desk, transaction

DURABLE = changelog(ROLE, Kind.DURABLE)
RECORD_AND_ABORT = 2


@pytest.mark.parametrize("off_seconds", [3600, -86_400])
async def test_nothing_is_committed_by_a_clock_that_the_broker_does_not_agree_with(
    desk: Desk, off_seconds: int
) -> None:
    now_ms = SystemClock().now_ms()
    log = await desk.log(clock=WatchedClock(ManualClock(now_ms + off_seconds * 1000)))

    with pytest.raises(ClockAskew, match="the broker's: set whichever is wrong"):
        await log.commit(transaction(durable=[(b"r", b"1")], out=(b"by a wrong clock",)))
    # Long before the broker would give it up: nobody waits behind it.
    async with asyncio.timeout(KafkaLog.timeout_ms / 2000):
        while await desk.stable_end(OUT) < RECORD_AND_ABORT:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.05)

    right = await desk.log()
    await right.commit(transaction(durable=[(b"r", b"2")], out=(b"by a right one",)))
    assert await desk.values(OUT) == [b"by a right one"]
    assert await desk.values(DURABLE) == [b"2"]
