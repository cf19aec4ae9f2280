"""The plan of `postrider capacity`, with coefficients that can be reckoned with in the head."""

import dataclasses

import pytest

from policies import caps
from policies.rules import RateLimit
from streams.capacity.coefficients import Coefficients, Work, measured
from streams.capacity.plan import COUNT_BYTES, DECISION_BYTES, LEDGER_BYTES, Need, plan
from streams.cli import main
from tables import attempts, decisions
from tables import caps as table_of_caps

KNOWN = Coefficients(
    measured="in a test",
    single=Work(decide_us=100, send_us=200, broker_us=50, kafka_bytes=700),
    broadcast=Work(decide_us=10, send_us=20, broker_us=5, kafka_bytes=200),
    push_us=400,
    push_broker_us=100,
    trickle_us=4_000,
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


def test_a_channel_that_is_named_is_sent_by_beside_email() -> None:
    made = plan(dataclasses.replace(NEED, channel_rates={"push": 3_000, "sms": 100}), KNOWN)

    assert made.workers == {"decide": 1, "email": 2, "push": 2, "sms": 1}


def test_email_has_the_rate_that_it_is_named_with_and_no_worker_when_that_is_none() -> None:
    fewer = plan(dataclasses.replace(NEED, channel_rates={"email": 3_000}), KNOWN)
    none = plan(dataclasses.replace(NEED, channel_rates={"email": 0, "push": 100}), KNOWN)

    assert fewer.workers == {"decide": 1, "email": 1}
    assert none.workers == {"decide": 1, "push": 1}


def test_what_is_sent_beside_email_costs_brokers_and_is_written() -> None:
    beside = dataclasses.replace(NEED, channel_rates={"push": 10_000}, replication=1)

    made = plan(beside, KNOWN)

    assert made.broker_cores == 3  # 0.3 and 1.0 cores, 0.6 of each may be used
    assert made.written_mb_s == pytest.approx(6.0 + 7.0)


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


def test_decide_keeps_people_what_they_were_sent_and_the_requests_of_a_dedup_window() -> None:
    need = dataclasses.replace(NEED, average_share=0.5, channel_rates={"push": 1})

    made = plan(need, KNOWN)

    people = 1_000_000 * (300 + 2 * COUNT_BYTES)
    a_day = 3_000 * 86_400 * DECISION_BYTES
    assert made.worker_disk_gb == pytest.approx((people + a_day) * 2 / 1e9)


def test_workers_that_share_the_partitions_share_their_disk() -> None:
    alone = plan(NEED, KNOWN)
    together = plan(dataclasses.replace(NEED, busy_share=0.3), KNOWN)

    assert together.workers["decide"] == 2
    assert together.worker_disk_gb == pytest.approx(alone.worker_disk_gb / 2)


def test_senders_keep_what_was_tried_for_nine_days_and_less_where_a_batch_shares_a_row() -> None:
    need = dataclasses.replace(NEED, average_share=0.5)
    made = plan(need, KNOWN)
    broadcast = plan(dataclasses.replace(need, single_rate=0, broadcast_rate=6_000), KNOWN)

    assert made.ledger_disk_gb == pytest.approx(3_000 * 9 * 86_400 * LEDGER_BYTES * 2 / 1e9)
    assert broadcast.ledger_disk_gb < made.ledger_disk_gb / 10


def test_rows_are_no_larger_than_the_plan_takes_them_for() -> None:
    unit = bytes(16)
    counted = caps.NOTHING
    for _ in range(20):
        counted = caps.count(
            counted, now_ms=1_767_225_600_000, local_day=20_454,
            rate=RateLimit(1000, 3600), category="marketing",
        )  # fmt: skip
    rows = [
        (DECISION_BYTES, decisions.put(unit, decisions.Seen(0, bytes(16)), 1)),
        (COUNT_BYTES, table_of_caps.put(table_of_caps.key_of("push", "user-00000001"), counted)),
        (LEDGER_BYTES, attempts.put(attempts.key_of(unit, 1, "a device of 16 b"), 1, b"\1", 1)),
    ]

    for most_bytes, row in rows:
        assert len(row.key) + len(row.value or b"") <= most_bytes


def test_copies_cost_brokers_as_much_as_the_first() -> None:
    rate = dataclasses.replace(NEED, single_rate=24_000)  # 1.2 cores for one copy

    assert plan(dataclasses.replace(rate, replication=1), KNOWN).broker_cores == 2
    assert plan(rate, KNOWN).broker_cores == 6


def test_what_is_assumed_is_said_with_the_numbers_that_were_asked_for() -> None:
    told = "\n".join(plan(dataclasses.replace(NEED, busy_share=0.4), KNOWN).assumptions)

    assert "in a test" in told
    assert "at most 40% busy" in told
    assert "takes 300 us" in told
    assert "at 200/s it was 4,000 us" in told
    assert "8 partitions" in told


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


def test_the_command_takes_that_nothing_goes_out_by_email(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rates = ["--channel-rate", "push=90/s", "--channel-rate", "email=none"]
    with pytest.raises(SystemExit):
        main(["capacity", "--rate", "90/s", "--users", "5000", *rates])

    told = capsys.readouterr().out
    assert "workers of push" in told
    assert "workers of email" not in told


def test_a_channel_that_does_not_exist_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["capacity", "--rate", "1/s", "--users", "1", "--channel-rate", "pigeon=1/s"])

    assert ended.value.code != 0
    assert "there is no channel pigeon" in capsys.readouterr().err
