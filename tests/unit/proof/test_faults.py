"""A round shows something only where its fault was there to be felt."""

import random
from types import SimpleNamespace
from typing import cast

from proof.checker.evidence import Blow, Circumstances
from proof.faults.base import Fault, Field
from proof.faults.catalogue import FAULTS
from proof.stage import Stage


def field_of(fault: Fault) -> Field:
    stage = SimpleNamespace(
        circumstances=Circumstances(ended_ms=0, blows=[Blow(0, "email", "kill")]),
        workers=SimpleNamespace(exits=[]),
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


def test_a_storm_that_no_call_met_shows_nothing() -> None:
    throttled = FAULTS["429"]
    field = field_of(throttled)
    strike(field, 1)

    assert [each.words for each in throttled.judge(field)] == ["no call met it"]

    field.calls_hit = 1
    assert list(throttled.judge(field)) == []
