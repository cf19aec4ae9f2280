"""What a role's Faust app tells its runner, and when."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

import mode
import pytest
from aiokafka.structs import TopicPartition as KafkaPartition
from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from schemas.kafka import TopicPartition
from streams.engine.runner import Runner
from streams.faust_app import GroupSettings, RoleApp, build_app, done_offsets
from streams.faust_intake import FaustIntake
from streams.names import Names

A, B = "notifications.requested", "recipients.changed"


class GivenRunner:
    """A runner that takes over at once, or ends as it is told."""

    def __init__(self) -> None:
        self.assigned: list[set[int]] = []
        self.given_up = 0
        self.while_restoring: Callable[[], None] = lambda: None
        self.done: dict[TopicPartition, int] = {}
        self.idle: set[TopicPartition] = set()

    async def partitions_assigned(self, numbers: Collection[int]) -> dict[TopicPartition, int]:
        self.assigned.append(set(numbers))
        self.while_restoring()
        return {TopicPartition(A, number): 100 + number for number in numbers}

    async def give_up(self) -> None:
        self.given_up += 1

    def positions(self) -> dict[TopicPartition, int]:
        return self.done

    def idle_sources(self) -> set[TopicPartition]:
        return self.idle

    def push(self, record: object) -> None:
        raise AssertionError("no record comes here")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.runner = GivenRunner()
        self.deaths: list[BaseException] = []
        self.app: RoleApp = build_app(
            settings=GroupSettings(role="decide", slot=0, data_dir=folder),
            names=Names("p."),
            connection={"bootstrap_servers": "127.0.0.1:1"},
            topics=[A, B],
            runner=cast(Runner, self.runner),
            intake=FaustIntake(Names("p.")),
            die=self.deaths.append,
        )

    async def assign(self, *numbers: int, topics: Collection[str] = (A, B)) -> None:
        tables: Any = self.app.tables
        assigned = {TP(f"p.{topic}", number) for topic in topics for number in numbers}
        with contextlib.suppress(ConsumerNotStarted):  # whom Faust turns to when we are through
            await tables.on_rebalance(assigned, set(), assigned, 1)

    @property
    def read_from(self) -> Mapping[KafkaPartition, int] | None:
        reading = self.app.intake.reading
        return None if reading is None else reading.seeks

    def stop(self) -> None:
        self.app._stopped.set()


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_partitions_are_taken_over_and_read_from_the_runners_positions(bench: Bench) -> None:
    await bench.assign(0, 3)

    assert bench.runner.assigned == [{0, 3}]
    assert bench.read_from == {TP(f"p.{A}", 0): 100, TP(f"p.{A}", 3): 103}


async def test_a_revocation_gives_them_up_and_no_position_is_left(bench: Bench) -> None:
    await bench.assign(0)

    await bench.app.on_partitions_revoked.send(set())

    assert bench.runner.given_up == 1
    assert bench.read_from is None


async def test_a_rebalance_while_it_stops_waits_for_the_drain(bench: Bench) -> None:
    await bench.assign(0)
    bench.stop()

    await bench.app._on_partitions_revoked(set())

    assert bench.runner.given_up == 1


@pytest.mark.parametrize(
    "assigned", [{TP(f"p.{A}", 0), TP(f"p.{B}", 1)}, {TP(f"p.{A}", 0)}], ids=["other", "missing"]
)
async def test_sources_that_are_not_co_partitioned_end_the_process(
    bench: Bench, assigned: set[TP]
) -> None:
    tables: Any = bench.app.tables
    with pytest.raises(RuntimeError, match="not co-partitioned"):
        await tables.on_rebalance(assigned, set(), set(), 1)

    assert "topics check" in str(bench.deaths[0])
    assert bench.runner.assigned == []


async def test_a_take_over_that_fails_ends_the_process(bench: Bench) -> None:
    def fail() -> None:
        raise OSError("disk full")

    bench.runner.while_restoring = fail
    with pytest.raises(OSError, match="disk full"):
        await bench.assign(0)

    assert [str(death) for death in bench.deaths] == ["disk full"]


@pytest.mark.parametrize("is_below", [False, True], ids=["the-app", "below-it"])
async def test_what_crashes_in_faust_ends_the_process(bench: Bench, is_below: bool) -> None:
    crashing = mode.Service(beacon=bench.app.beacon) if is_below else bench.app

    await crashing.crash(OSError("disk full"))

    assert [str(death) for death in bench.deaths] == ["disk full"]


async def test_a_crash_while_it_stops_is_left_to_the_watchdog(bench: Bench) -> None:
    bench.stop()

    await bench.app.crash(OSError("disk full"))

    assert bench.deaths == []


async def test_nothing_is_taken_over_after_a_stop(bench: Bench) -> None:
    bench.stop()

    await bench.assign(0)

    assert bench.runner.assigned == []


async def test_what_was_restored_while_the_stop_came_is_given_up_again(bench: Bench) -> None:
    bench.runner.while_restoring = bench.stop

    await bench.assign(0)

    assert bench.runner.given_up == 1
    assert bench.read_from is None


async def test_a_stop_that_cancels_a_restore_is_a_clean_one(bench: Bench) -> None:
    def cancelled_by_the_stop() -> None:
        bench.stop()
        raise asyncio.CancelledError

    bench.runner.while_restoring = cancelled_by_the_stop
    with pytest.raises(asyncio.CancelledError):
        await bench.assign(0)

    assert bench.deaths == []


async def test_what_was_fetched_is_not_done_while_it_is_under_way(bench: Bench) -> None:
    source, place = TopicPartition(A, 0), TP(f"p.{A}", 0)
    bench.runner.done = {source: 5}
    fetched = {place: 11}  # behind record 9 comes the marker of its transaction

    assert done_offsets(bench.app, fetched) == {place: 5}

    bench.runner.idle = {source}
    assert done_offsets(bench.app, fetched) == {place: 11}
