"""Results are kept from run to run, and told as a table and a page."""

from pathlib import Path

from proof.checker.evidence import Blow
from proof.checker.verdict import Violation
from proof.faults.catalogue import FAULTS
from proof.kept import Kept
from proof.mutants.catalogue import MUTANTS
from proof.mutants.trial import Trial
from proof.report import figures_of, report
from proof.results import Result, Struck

KILL = FAULTS["kill"]


def result(seed: int, *struck: Struck, violations: tuple[Violation, ...] = ()) -> Result:
    return Result(
        fault=KILL.name, seed=seed, commit="c0ffee", at="2026-11-25T21:00:00+00:00", seconds=60.0,
        rest_seconds=10.0 + seed, intents=100, deliveries=150, accepts=120, struck=list(struck),
        violations=list(violations),
    )  # fmt: skip


def kill(in_flight: int, *, doubts: int) -> Struck:
    return Struck(Blow(0, "email", "kill", in_flight, open_calls=2), doubts)


def test_a_round_that_was_played_is_known_to_the_next_run(tmp_path: Path) -> None:
    broken = result(1, kill(7, doubts=1), violations=(Violation("L3", "twice", ("a",)),))
    path = tmp_path / "kept" / "results.jsonl"
    Kept(path, Result).append(broken)

    assert Kept(path, Result).all == [broken]


def test_figures_tell_how_much_was_in_flight_and_what_each_blow_left() -> None:
    rounds = [result(1, kill(4, doubts=0), kill(8, doubts=3)), result(2, kill(90, doubts=1))]

    (row,) = figures_of(rounds)

    assert row["rounds"] == 2
    assert row["blows"] == 3
    assert row["in_flight"] == "8, 90"
    assert row["lost_outcomes"] == "4, 3"
    assert row["rest_seconds"] == 12.0
    assert row["broken"] == 0


def test_the_page_counts_kills_of_clean_rounds_apart() -> None:
    broken = result(2, kill(9, doubts=0), violations=(Violation("L1", "lost", ("b",)),))

    page = report([result(1, kill(4, doubts=0), kill(4, doubts=0)), broken], [])

    assert "Processes killed with -9: 3, of these in clean rounds: 2" in page
    assert "commit c0ffee" in page
    assert all(f"| {name} |" in page for name in FAULTS)


def test_a_mutant_is_caught_by_its_own_invariant_only() -> None:
    planted = MUTANTS["pause-unheard"]
    missed = Trial(planted.scene.name, planted.name, {"L1": 3}, "lost", 30.0)
    caught = Trial(planted.scene.name, planted.name, {"L1": 3, "L4": 1}, "was paused", 30.0)

    assert not missed.is_as_it_must_be
    assert caught.is_as_it_must_be


def test_a_scene_that_is_not_clean_without_a_mutant_proves_nothing() -> None:
    assert not Trial("a day", "", {"L7": 1}, "told twice", 30.0).is_as_it_must_be
    assert Trial("a day", "", {}, "", 30.0).is_as_it_must_be
