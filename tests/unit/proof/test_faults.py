"""A round shows something only where its fault was there to be felt."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from proof.checker.evidence import Blow, Circumstances
from proof.collector import Doubt
from proof.faults.base import Fault, Field
from proof.faults.catalogue import FAULTS
from proof.seen import Seen
from proof.stage import Stage
from proof.workers import Slot
from streams.worker import EXIT_LOST

LATE_MS = 10**15
"""After all blows."""


def field_of(fault: Fault) -> Field:
    stage = SimpleNamespace(
        circumstances=Circumstances(ended_ms=0, blows=[Blow(0, "email", "kill")]),
        workers=SimpleNamespace(exits=[], stops=[]),
        evidence=Path(),
        config=SimpleNamespace(runner=lambda role: SimpleNamespace(max_exposed=2000)),
        collector=SimpleNamespace(doubts=[Doubt("email", "news", 0)]),
        slots=[],
    )
    return Field(cast(Stage, stage), random.Random(1), fault.plan(1, 1))


def strike(field: Field, times: int) -> None:
    field.stage.circumstances.blows += [Blow(1, "email", "kill")] * times


def test_blows_of_rounds_before_do_not_count_for_this_one() -> None:
    kill = FAULTS["kill"]
    field = field_of(kill)

    strike(field, kill.least_blows - 1)
    assert [each.words for each in kill.judge(field)] == ["struck 2 times, and a round needs 3"]

    strike(field, 1)
    assert list(kill.judge(field)) == []


def test_a_worker_that_ends_without_being_asked_to_breaks_the_round() -> None:
    kill, decide, email = FAULTS["kill"], Slot("decide", 0), Slot("email", 0)
    field = field_of(kill)
    strike(field, kill.least_blows)

    field.workers.exits += [(email, -9), (email, 70), (decide, -9)]
    field.workers.stops += [(email, 0), (decide, -9)]

    assert [each.words for each in kill.judge(field)] == [
        "email-0 ended by itself, with 70",
        "decide-0 ended by itself, with -9",
        "decide-0 was stopped, and ended with -9",
    ]


def test_a_suspension_that_cost_nobody_a_partition_was_too_short() -> None:
    suspended = FAULTS["suspended"]
    field = field_of(suspended)
    strike(field, 3)

    field.workers.exits.append((Slot("email", 0), EXIT_LOST))
    assert [each.words for each in suspended.judge(field)] == [
        "of 3 suspensions 1 were longer than a session"
    ]

    field.workers.exits.append((Slot("email", 0), EXIT_LOST))
    assert list(suspended.judge(field)) == []


def test_a_storm_that_no_call_met_shows_nothing() -> None:
    throttled = FAULTS["429"]
    field = field_of(throttled)
    strike(field, 1)

    assert [each.words for each in throttled.judge(field)] == ["no call met it"]

    field.calls_hit = 1
    assert list(throttled.judge(field)) == []


def test_what_a_blow_left_in_doubt_is_told_after_it_and_before_the_next_to_its_role() -> None:
    field = field_of(FAULTS["kill"])
    field.stage.circumstances.blows += [
        Blow(10, "email", "kill"), Blow(20, "push", "kill"), Blow(30, "email", "kill"),
    ]  # fmt: skip
    early, late = Doubt("email", "news", 29), Doubt("email", "order", 30)

    field.stage.collector.doubts += [early, late, Doubt("sms", "code", 40)]

    assert field.left_in_doubt() == [[early], [], [late]]


def test_more_in_doubt_than_ended_lives_may_leave_breaks_a_round_in_a_crowd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd = FAULTS["kill-in-a-crowd"]
    field = field_of(crowd)
    strike(field, crowd.least_blows)
    lives = 2000 * crowd.least_blows
    doubts = field.stage.collector.doubts
    monkeypatch.setattr(Seen, "largest_request", lambda self, provider: 100)

    doubts += [Doubt("email", "news", LATE_MS)] * lives
    doubts += [Doubt("email", "order", LATE_MS)] * lives
    assert list(crowd.judge(field)) == [], "lives that told nothing left it to the last"
    assert field.notes == [f"up to {lives} of one type in doubt after a kill, 100 mails a request"]

    doubts.append(Doubt("email", "order", LATE_MS))
    monkeypatch.setattr(Seen, "largest_request", lambda self, provider: 99)
    assert [each.words for each in crowd.judge(field)] == [
        f"{lives + 1} in doubt of type order after a kill of email, {lives} could be left",
        "no large request: 99 mails at the most",
    ]
