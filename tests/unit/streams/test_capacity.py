"""The plan of `postrider capacity`, with coefficients that can be reckoned with in the head."""

import dataclasses

import pytest

from streams.capacity.coefficients import Coefficients, Work, measured
from streams.capacity.plan import Need, plan
from streams.cli import main

KNOWN = Coefficients(
    measured="in a test",
    single=Work(decide_us=100, send_us=200, broker_us=50, kafka_bytes=700),
    broadcast=Work(decide_us=10, send_us=20, broker_us=5, kafka_bytes=200),
    push_us=400,
    user_disk_bytes=300,
    user_changelog_bytes=500,
    worker_mb=256,
)
NEED = Need(users=1_000_000, single_rate=6_000, busy_share=0.6)


def test_a_role_has_as_many_workers_as_its_rate_fills_to_their_busy_share() -> None:
    made = plan(NEED, KNOWN)

    assert made.workers == {"decide": 1, "email": 2}  # 0.6 and 1.2 cores


def test_a_little_more_than_a_worker_may_carry_asks_for_another_one() -> None:
    made = plan(dataclasses.replace(NEED, single_rate=6_001), KNOWN)

    assert made.workers == {"decide": 2, "email": 3}


def test_broadcasts_cost_what_batches_cost() -> None:
    made = plan(dataclasses.replace(NEED, single_rate=0, broadcast_rate=300_000), KNOWN)

    assert made.workers == {"decide": 5, "email": 10}  # 3 and 6 cores


def test_only_channels_that_are_named_have_workers() -> None:
    made = plan(dataclasses.replace(NEED, channel_rates={"push": 3_000, "sms": 100}), KNOWN)

    assert made.workers == {"decide": 1, "push": 2, "sms": 1}


def test_partitions_are_for_twice_the_workers_four_each_and_never_fewer_than_48() -> None:
    few = plan(NEED, KNOWN)
    many = plan(dataclasses.replace(NEED, single_rate=60_000), KNOWN)

    assert few.partitions == 48
    assert max(many.workers.values()) == 20
    assert many.partitions == 168  # 160, in dozens


def test_bandwidth_counts_requests_and_all_that_follows_and_copies_apart() -> None:
    made = plan(NEED, KNOWN)

    assert made.written_mb_s == pytest.approx(6.0)  # 6,000 of 1,000 bytes
    assert made.replicated_mb_s == pytest.approx(12.0)


def test_disks_hold_a_week_of_the_average_and_twice_the_state() -> None:
    made = plan(dataclasses.replace(NEED, average_share=0.5), KNOWN)

    week = 6_000 * 1_000 * 0.5 * 7 * 86_400
    state = 1_000_000 * 500 * 2
    assert made.broker_disk_gb == pytest.approx((week + state) * 3 / 1e9)
    assert made.worker_disk_gb == pytest.approx(0.6)


def test_copies_cost_brokers_as_much_as_the_first() -> None:
    rate = dataclasses.replace(NEED, single_rate=24_000)  # 1.2 cores for one copy

    assert plan(dataclasses.replace(rate, replication=1), KNOWN).broker_cores == 2
    assert plan(rate, KNOWN).broker_cores == 6


def test_what_is_assumed_is_said_with_the_numbers_that_were_asked_for() -> None:
    told = "\n".join(plan(dataclasses.replace(NEED, busy_share=0.4), KNOWN).assumptions)

    assert "in a test" in told
    assert "at most 40% busy" in told


def test_the_checked_in_coefficients_are_whole_and_of_this_world() -> None:
    known = measured()

    for work in (known.single, known.broadcast):
        assert 0 < work.decide_us < 10_000
        assert 0 < work.send_us < 10_000
        assert 0 < work.kafka_bytes < 10_000
    assert known.broadcast.send_us < known.single.send_us


def test_the_command_prints_the_plan_and_its_assumptions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["capacity", "--rate", "2000/s", "--users", "5000000", "--channel-rate", "push=90/s"])

    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "workers of push\t1" in told
    assert "assuming:" in told


def test_a_channel_that_does_not_exist_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["capacity", "--rate", "1/s", "--users", "1", "--channel-rate", "pigeon=1/s"])

    assert ended.value.code != 0
    assert "there is no channel pigeon" in capsys.readouterr().err
