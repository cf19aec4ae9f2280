"""Rules R1-R5 in real processes on a real Kafka: nothing lost, nothing sent twice."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from streams.embedded_kafka import EmbeddedKafka
from tests.acceptance.small_lab import SESSION_SECONDS, Lab, lab

WORKERS = ("decide-0", "send-0")


def check(
    opened: Lab, finals: Mapping[bytes, Sequence[bytes]], count: int, *, may_doubt: bool = True
) -> None:
    assert len(finals) == count, f"{count - len(finals)} of {count} deliveries are lost"
    for delivery_id, statuses in finals.items():
        assert len(statuses) == 1, f"{delivery_id!r} ended as {statuses}"
        accepted = opened.ledger.accepted[delivery_id]
        assert accepted <= 1, f"{delivery_id!r} was sent {accepted} times"
        assert accepted == 1 or statuses == [b"in_doubt"], f"{delivery_id!r} was never sent"
        assert may_doubt or statuses == [b"sent"], f"{delivery_id!r} is in doubt"


async def produce(opened: Lab, count: int, *, per_second: float) -> None:
    for number in range(count):
        await opened.request(number)
        await asyncio.sleep(1 / per_second)  # the load's own rhythm


async def test_kill_9_at_random_moments_loses_nothing(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    count, randomness = 1500, random.Random(7)
    async with lab(kafka.bootstrap, tmp_path) as opened:
        for name in WORKERS:
            opened.start(name)
        load = asyncio.create_task(produce(opened, count, per_second=150))
        while not load.done():
            await asyncio.sleep(randomness.uniform(0.8, 1.8))  # a moment nobody chose
            opened.kill(randomness.choice(WORKERS))
            opened.restart_the_dead()
        await load

        finals = await opened.settled(count, within_seconds=40)
        check(opened, finals, count)


async def test_clean_restarts_under_load_leave_nothing_in_doubt(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    count = 900
    async with lab(kafka.bootstrap, tmp_path, call_seconds=0.1) as opened:
        for name in WORKERS:
            opened.start(name)
        load = asyncio.create_task(produce(opened, count, per_second=150))
        codes = []
        for name in ("send-0", "decide-0", "send-0"):
            await opened.until_more_is_sent()
            codes.append(await asyncio.to_thread(opened.terminate, name))
            opened.restart_the_dead()
        await load

        finals = await opened.settled(count, within_seconds=30)
        check(opened, finals, count, may_doubt=False)
        assert codes == [0, 0, 0]


async def test_a_second_worker_that_joins_and_leaves_moves_partitions_without_doubt(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    count = 900
    async with lab(kafka.bootstrap, tmp_path) as opened:
        for name in WORKERS:
            opened.start(name)
        load = asyncio.create_task(produce(opened, count, per_second=120))
        await opened.until_more_is_sent()
        for name in ("send-1", "decide-1"):
            opened.start(name)
        await asyncio.sleep(3)  # and share them by now
        for name in ("send-1", "decide-1"):
            await asyncio.to_thread(opened.terminate, name)
            del opened.workers[name]
        await load

        finals = await opened.settled(count, within_seconds=30)
        check(opened, finals, count, may_doubt=False)


async def test_a_zombie_that_wakes_after_its_session_writes_and_sends_nothing_twice(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    count = 700
    async with lab(kafka.bootstrap, tmp_path) as opened:
        for name in (*WORKERS, "decide-1", "send-1"):
            opened.start(name)
        load = asyncio.create_task(produce(opened, count, per_second=100))
        await opened.until_more_is_sent()
        await asyncio.sleep(2)  # the second ones have joined by now
        for name in ("decide-0", "send-0"):
            opened.suspend(name)
        await asyncio.sleep(2 * SESSION_SECONDS)  # others take over
        for name in ("decide-0", "send-0"):
            opened.wake(name)
        await load

        finals = await opened.settled(count, within_seconds=40)
        check(opened, finals, count)


async def test_a_lost_disk_is_rebuilt_from_the_changelogs(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    count = 600
    async with lab(kafka.bootstrap, tmp_path) as opened:
        for name in WORKERS:
            opened.start(name)
        load = asyncio.create_task(produce(opened, count, per_second=150))
        for name in WORKERS:
            await opened.until_more_is_sent()
            opened.kill(name)
            opened.wipe(name)
            opened.restart_the_dead()
        await load
        for number in range(0, count, 5):
            await opened.request(number)  # told again: the memory of it must have survived

        finals = await opened.settled(count, within_seconds=30)
        check(opened, finals, count)
