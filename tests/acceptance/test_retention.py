"""What is taken from a running worker before it has read it is told, to the record, and passed over."""

import asyncio
import json
from pathlib import Path

import pytest

from streams.embedded_kafka import EmbeddedKafka
from streams.worker import EXIT_LOST
from tests.acceptance.small_lab import PARTITIONS, Lab, Spans, lab
from tests.acceptance.test_worker_faults import WORKERS, check
from tests.simulation.small import REQUESTS

pytestmark = pytest.mark.timeout(120)

PATIENT = Spans(session_seconds=30.0)
"""Who is suspended meanwhile stays a member."""
_LONGER_THAN_A_FETCH_WAITS = 0.5


async def suspend_at_rest(opened: Lab) -> None:
    """Until no fetch of the worker's waits at the broker: such a one would still be answered."""
    opened.suspend("decide-0")
    await asyncio.sleep(_LONGER_THAN_A_FETCH_WAITS)  # by the broker's clock


async def ask(opened: Lab, first: int, last: int) -> None:
    for number in range(first, last):
        await opened.request(number)


async def begin(opened: Lab) -> int:
    """Two requests in each partition, all settled; how many that are."""
    for name in WORKERS:
        opened.start(name)
    count = 2 * PARTITIONS
    await ask(opened, 0, count)
    check(opened, await opened.settled(count, within_seconds=60), count)
    return count


def lost(opened: Lab) -> list[tuple[int, int, int]]:
    """Partition, first offset lost, and first that is not, as the worker has told."""
    lines = opened.log_of("decide-0").splitlines()
    said = (json.loads(line) for line in lines if line.startswith("{"))
    return sorted(
        (each["partition"], each["from"], each["to"])
        for each in said
        if each["message"] == "retention removed records that were never read"
    )


async def test_records_that_a_running_worker_never_read_are_told_and_the_rest_is_decided(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path, spans=PATIENT) as opened:
        read = await begin(opened)
        await suspend_at_rest(opened)
        asked = 10 * PARTITIONS
        await ask(opened, read, asked)
        await opened.remove(REQUESTS, {0: 7, 1: 2, 3: 10})
        opened.wake("decide-0")
        left = asked - 5 - 8

        check(opened, await opened.settled(left, within_seconds=60), left)
        assert lost(opened) == [(0, 2, 7), (3, 2, 10)]
        assert opened.metric("decide-0", "postrider_records_lost_total") == 13
        await ask(opened, asked, asked + PARTITIONS)
        left += PARTITIONS
        check(opened, await opened.settled(left, within_seconds=60), left)
        assert await asyncio.to_thread(opened.terminate, "decide-0") == 0
        opened.restart_the_dead()
        await ask(opened, asked + PARTITIONS, asked + 2 * PARTITIONS)
        left += PARTITIONS

        check(opened, await opened.settled(left, within_seconds=60), left)
        assert len(lost(opened)) == 2, "what was told, and has been passed, is not told again"
        assert opened.exits == [0]


async def test_a_source_that_is_made_anew_under_a_running_worker_is_read_from_its_beginning(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with lab(kafka.bootstrap, tmp_path, spans=PATIENT) as opened:
        read = await begin(opened)
        await suspend_at_rest(opened)
        await opened.recreate(REQUESTS)
        await ask(opened, read, read + PARTITIONS)
        opened.wake("decide-0")

        settled = read + PARTITIONS
        check(opened, await opened.settled(settled, within_seconds=60), settled)
        assert "topic was re-created" in opened.log_of("decide-0")
        assert opened.exits == [EXIT_LOST], "what was under way is of the topic that was"
