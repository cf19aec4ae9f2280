"""The engine's rules R1-R5: clean under faults with all of them, and broken without any one."""

import collections

import pytest

from schemas.kafka import Record
from streams.engine.runner import RunnerSettings
from tables.state import StaleRows
from tests.simulation.blows import Faults
from tests.simulation.loop import pause
from tests.simulation.mutants import (
    GivingUpWithoutADrain,
    NoFencingAtTakeOver,
    NoLease,
    PositionsAheadOfTheWork,
    RowsAndRecordsOutsideATransaction,
    RowsAppliedBeforeTheCommit,
)
from tests.simulation.process import Process
from tests.simulation.small import DELIVERIES, RECEIPTS, REQUESTS, SmallWorld

COUNT = 120
FAULTS = Faults(kills=4, suspensions=2, rebalances=1, clean_restarts=1, wipes=1, stale_disks=1)


async def load(world: SmallWorld) -> None:
    """Requests at random moments, each third one twice."""
    for number in range(COUNT):
        record = Record(REQUESTS, number % world.partitions, b"%d" % number)
        await world.produce(record)
        if number % 3 == 0:
            await world.produce(record)
        await pause(world.random.expovariate(1 / 0.15))


async def burst(world: SmallWorld) -> None:
    for number in range(COUNT):
        await world.produce(Record(REQUESTS, number % world.partitions, b"%d" % number))


def finals(world: SmallWorld) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = collections.defaultdict(list)
    for value in world.committed_records(RECEIPTS):
        delivery_id, status = value.split()
        found[delivery_id].append(status)
    return found


def settled(world: SmallWorld) -> bool:
    return len(finals(world)) >= COUNT


def play(seed: int, faults: Faults, process_class: type[Process] = Process) -> SmallWorld:
    world = SmallWorld(seed=seed, process_class=process_class)
    world.bear(load, faults=faults, fault_seconds=20.0, settled=settled)
    return world


def check(world: SmallWorld, *, may_doubt: bool = True) -> None:
    """Nothing lost, one final state each, the provider's ledger and the receipts agree."""
    statuses = finals(world)
    assert sorted(statuses) == sorted(b"%d" % number for number in range(COUNT))
    assert all(len(each) == 1 for each in statuses.values()), "a delivery has two final states"
    deliveries = world.committed_records(DELIVERIES)
    assert len(deliveries) == len(set(deliveries)) == COUNT, "decided twice"
    for delivery_id, (status,) in statuses.items():
        accepted = world.provider.accepted[delivery_id]
        assert accepted <= 1, f"{delivery_id!r} was sent {accepted} times"
        assert accepted == 1 or status != b"sent", f"{delivery_id!r} is a phantom"
        assert may_doubt or status != b"in_doubt", f"{delivery_id!r} is in doubt after a clean stop"


def check_zombies(world: SmallWorld) -> None:
    assert world.provider.zombie_calls == 0, "a call by a process that had lost its partitions"


@pytest.mark.parametrize("seed", range(80))
def test_faults_lose_nothing_and_send_nothing_twice(seed: int) -> None:
    world = play(seed, FAULTS)
    check(world)
    check_zombies(world)


def play_cleanly(seed: int, process_class: type[Process] = Process) -> SmallWorld:
    world = SmallWorld(seed=seed, process_class=process_class)
    world.provider.lost_reply_share = 0.0
    faults = Faults(clean_restarts=4, rebalances=2)
    world.bear(load, faults=faults, fault_seconds=20.0, settled=settled)
    return world


@pytest.mark.parametrize("seed", range(20))
def test_clean_restarts_and_rebalances_leave_nothing_in_doubt(seed: int) -> None:
    check(play_cleanly(seed), may_doubt=False)


def play_crowded(seed: int, process_class: type[Process] = Process) -> SmallWorld:
    """Calls wait for a place while their process is suspended beyond its session."""
    world = SmallWorld(seed=seed, process_class=process_class)
    world.settings = RunnerSettings(max_open_calls=1)
    world.bear(burst, faults=Faults(suspensions=6), fault_seconds=8.0, settled=settled)
    return world


@pytest.mark.parametrize("seed", range(15))
def test_a_process_that_slept_through_its_session_calls_nobody(seed: int) -> None:
    world = play_crowded(seed)
    check(world)
    check_zombies(world)


def finds_a_failing_seed(process_class: type[Process], *, seeds: int) -> bool:
    """Whether any of the seeds shows that a rule is off; every kind of failure counts."""
    for seed in range(seeds):
        try:
            world = play(seed, FAULTS, process_class)
            check(world)
            check_zombies(world)
            check(play_cleanly(seed, process_class), may_doubt=False)
            check_zombies(play_crowded(seed, process_class))
        except (AssertionError, StaleRows):
            return True
    return False


@pytest.mark.parametrize(
    "process_class",
    [
        RowsAppliedBeforeTheCommit,
        RowsAndRecordsOutsideATransaction,
        PositionsAheadOfTheWork,
        NoFencingAtTakeOver,
        GivingUpWithoutADrain,
        NoLease,
    ],
)
def test_a_rule_switched_off_makes_a_seed_fail(process_class: type[Process]) -> None:
    assert finds_a_failing_seed(process_class, seeds=100)
