"""Rules R1-R5 in real processes on a real Kafka: nothing lost, nothing sent twice."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from aiokafka.protocol.group import JoinGroupResponse_v5

from streams.embedded_kafka import EmbeddedKafka
from streams.worker import EXIT_FAILED, EXIT_LOST
from tests.acceptance.small_lab import SESSION_SECONDS, Lab, Spans, lab
from tests.integration.streams.kafka_proxy import JOIN_GROUP, KafkaProxy

WORKERS = ("decide-0", "send-0")
UNKNOWN_SERVER_ERROR = -1


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


@contextlib.asynccontextmanager
async def load(opened: Lab, *, per_second: float) -> AsyncIterator[list[int]]:
    """Requests at a steady rate while the body runs; the list holds them all in the end."""
    asked: list[int] = []

    async def ask() -> None:
        while True:
            await opened.request(len(asked))
            asked.append(len(asked))
            await asyncio.sleep(1 / per_second)  # the load's own rhythm

    asking = asyncio.create_task(ask())
    try:
        yield asked
    finally:
        asking.cancel()
        await asyncio.wait([asking])
    # One whose answer was not awaited may have arrived: ask it for certain, twice is once.
    await opened.request(len(asked))
    asked.append(len(asked))


async def test_kill_9_at_random_moments_loses_nothing(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    randomness = random.Random(7)
    async with lab(kafka.bootstrap, tmp_path) as opened:
        for name in WORKERS:
            opened.start(name)
        async with load(opened, per_second=150) as asked:
            for name in randomness.choices(WORKERS, k=8):
                await opened.until_more_is_sent()
                await asyncio.sleep(randomness.uniform(0, 0.3))  # a moment nobody chose
                opened.kill(name)
                opened.restart_the_dead()

        finals = await opened.settled(len(asked), within_seconds=40)
        check(opened, finals, len(asked))


async def test_a_worker_that_reads_nothing_any_more_ends_and_another_life_goes_on(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path) as opened:
        opened.start("decide-0", module="tests.acceptance.worker_that_breaks_down")
        opened.start("send-0")
        await opened.request(0)

        assert await asyncio.to_thread(opened.workers["decide-0"].wait, 60) == EXIT_FAILED
        opened.start("decide-0")

        check(opened, await opened.settled(1, within_seconds=40), 1)


async def test_a_worker_that_may_not_join_its_group_says_so_and_ends(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    refusal = JoinGroupResponse_v5(0, UNKNOWN_SERVER_ERROR, -1, "", "", "", [])
    async with KafkaProxy(kafka.bootstrap) as proxy, lab(proxy.bootstrap, tmp_path) as opened:
        proxy.hold(JOIN_GROUP)
        opened.start("decide-0")
        (await proxy.held()).reply(refusal.encode())

        code = await asyncio.to_thread(opened.workers["decide-0"].wait, 60)

        assert code == EXIT_FAILED, "or it would sit there for ever"
        assert "UnknownError" in opened.log_of("decide-0")
        opened.restart_the_dead()
        await opened.until_taken_over("decide-0")


async def test_clean_restarts_under_load_leave_nothing_in_doubt(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path, call_seconds=0.1) as opened:
        for name in WORKERS:
            opened.start(name)
        codes = []
        async with load(opened, per_second=120) as asked:
            for name in ("send-0", "decide-0", "send-0"):
                await opened.until_more_is_sent()
                codes.append(await asyncio.to_thread(opened.terminate, name))
                opened.restart_the_dead()

        finals = await opened.settled(len(asked), within_seconds=30)
        check(opened, finals, len(asked), may_doubt=False)
        assert codes == [0, 0, 0]


async def test_a_second_worker_that_joins_and_leaves_moves_partitions_without_doubt(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path) as opened:
        for name in WORKERS:
            opened.start(name)
        async with load(opened, per_second=100) as asked:
            await opened.until_more_is_sent()
            for name in ("send-1", "decide-1"):
                opened.start(name)
            for name in ("send-1", "decide-1"):
                await opened.until_taken_over(name)
            await opened.until_more_is_sent()
            for name in ("send-1", "decide-1"):
                await asyncio.to_thread(opened.terminate, name)
                del opened.workers[name]

        finals = await opened.settled(len(asked), within_seconds=30)
        check(opened, finals, len(asked), may_doubt=False)


async def test_a_zombie_that_wakes_after_its_session_writes_and_sends_nothing_twice(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path) as opened:
        everybody = (*WORKERS, "decide-1", "send-1")
        for name in everybody:
            opened.start(name)
        async with load(opened, per_second=100) as asked:
            for name in everybody:
                await opened.until_taken_over(name)
            await opened.until_more_is_sent()
            for name in WORKERS:
                opened.suspend(name)
            await asyncio.sleep(2 * SESSION_SECONDS)  # others take over
            for name in WORKERS:
                opened.wake(name)
            await opened.until_more_is_sent()

        finals = await opened.settled(len(asked), within_seconds=40)
        check(opened, finals, len(asked))


async def test_a_lost_disk_is_rebuilt_from_the_changelogs(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path) as opened:
        for name in WORKERS:
            opened.start(name)
        async with load(opened, per_second=150) as asked:
            for name in WORKERS:
                await opened.until_more_is_sent()
                opened.kill(name)
                opened.wipe(name)
                opened.restart_the_dead()
        for number in asked[::5]:
            await opened.request(number)  # told again: the memory of it must have survived

        finals = await opened.settled(len(asked), within_seconds=30)
        check(opened, finals, len(asked))


async def test_offsets_of_the_group_that_were_reset_repeat_nothing_and_skip_nothing(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path) as opened:
        for name in WORKERS:
            opened.start(name)
        async with load(opened, per_second=100) as asked:
            await opened.until_more_is_sent()
            for name in WORKERS:
                await asyncio.to_thread(opened.terminate, name)
            await opened.reset_group_offsets("decide", to=0)
            await opened.reset_group_offsets("send", to=10_000_000)
            opened.restart_the_dead()
            await opened.until_more_is_sent()

        finals = await opened.settled(len(asked), within_seconds=30)
        check(opened, finals, len(asked), may_doubt=False)


AWAY = Spans(session_seconds=6.0, drain_seconds=1.0, transaction_seconds=3.0)
"""A session that the broker's own start cannot use up, and the rest as short as can be."""


async def until_all_go_on(opened: Lab) -> None:
    """As soon as the broker is back: it answers, and its partitions have leaders."""
    await opened.until_led()
    async with asyncio.timeout(30):
        await opened.until_all_go_on()


@pytest.mark.timeout(240)
async def test_a_broker_that_is_killed_and_comes_back_is_waited_out(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path, spans=AWAY) as opened:
        for name in WORKERS:
            opened.start(name)
        async with load(opened, per_second=100) as asked:
            await opened.until_more_is_sent()
            kafka.kill()
            try:
                await asyncio.sleep(AWAY.transaction_seconds + 1)  # it gives up what is open
            finally:
                kafka.start()
            await until_all_go_on(opened)

        finals = await opened.settled(len(asked), within_seconds=30)
        check(opened, finals, len(asked), may_doubt=False)
        assert opened.exits == [], "nobody had to end"


@pytest.mark.timeout(240)
async def test_a_worker_stopped_while_the_broker_is_away_ends_and_nothing_is_lost(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path, spans=AWAY) as opened:
        for name in WORKERS:
            opened.start(name)
        async with load(opened, per_second=100) as asked:
            await opened.until_more_is_sent()
            kafka.kill()
            try:
                code = await asyncio.to_thread(opened.terminate, "send-0")
            finally:
                kafka.start()
            opened.restart_the_dead()
            await opened.until_more_is_sent()

        finals = await opened.settled(len(asked), within_seconds=60)
        check(opened, finals, len(asked))
        assert code in {0, EXIT_LOST}, "0 where nothing was open"
        assert set(opened.exits) <= {code}, "nobody else had to end"
