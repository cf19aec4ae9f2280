"""Results are kept from run to run, and told as a table and a page."""

from pathlib import Path

from proof.campaign import still_to_play
from proof.checker.evidence import Blow
from proof.checker.verdict import Violation
from proof.faults.catalogue import FAULTS
from proof.figures import crashes_of, figures_of, latest_results, worst_of
from proof.kept import Kept
from proof.mutants.catalogue import MUTANTS
from proof.mutants.trial import Trial, trial_of
from proof.report import kills_table, report
from proof.results import Result, Struck

KILL = FAULTS["kill"]


def result(
    seed: int,
    *struck: Struck,
    violations: tuple[Violation, ...] = (),
    commit: str = "c0ffee",
    doubts: dict[str, int] | None = None,
) -> Result:
    return Result(
        fault=KILL.name, seed=seed, commit=commit, at="2026-11-25T21:00:00+00:00", seconds=60.0,
        rest_seconds=10.0 + seed, intents=100, deliveries=150, accepts=120, struck=list(struck),
        violations=list(violations), doubts=doubts or {}, command="postrider prove --fault kill",
        machine="a laptop",
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

    assert row["rounds"] == f"2 of {KILL.rounds}"
    assert row["played"] == "c0ffee on 2026-11-25"
    assert row["blows"] == 3
    assert row["in_flight"] == "8, 90"
    assert row["lost_outcomes"] == "4, 3"
    assert row["rest_seconds"] == 12.0
    assert row["broken"] == 0


def test_the_page_counts_kills_of_clean_rounds_apart() -> None:
    broken = result(2, kill(9, doubts=0), violations=(Violation("L1", "lost", ("b",)),))

    page = report([result(1, kill(4, doubts=0), kill(4, doubts=0)), broken], [])

    assert "Processes killed with -9: 3, of these in clean rounds: 2. They were 3 of email." in page
    assert "of kills break a promise" not in page  # where one was broken, no such rule holds
    assert "| `postrider prove --fault kill` | c0ffee on 2026-11-25 | 2 | 2 |" in page
    assert "On a laptop;" in page
    assert all(f"| {name} |" in page for name in FAULTS)


def test_a_mutant_is_caught_by_its_own_invariant_only() -> None:
    planted = MUTANTS["pause-unheard"]
    missed = Trial(planted.scene.name, planted.name, {"L1": 3}, "lost", 30.0)
    caught = Trial(planted.scene.name, planted.name, {"L1": 3, "L4": 1}, "was paused", 30.0)

    assert not missed.is_as_it_must_be
    assert caught.is_as_it_must_be


def test_a_mutant_that_merely_broke_down_is_not_caught() -> None:
    planted = MUTANTS["drop-on-429"]
    violations = (Violation("L1", "sms, round 0 never ended", ("b",)),)
    broken = trial_of(planted.scene, planted, result(1, violations=violations))

    taken = Violation("L1", "said to be sent, and no provider has it", ("c",))
    caught = trial_of(planted.scene, planted, result(1, violations=(*violations, taken)))

    assert not broken.is_as_it_must_be
    assert caught.is_as_it_must_be


def test_a_mutant_without_words_of_its_own_is_not_caught_where_a_worker_ended_by_itself() -> None:
    planted = MUTANTS["positions-ahead-of-the-work"]
    alive = Trial(planted.scene.name, planted.name, {"L1": 3}, "never ended", 30.0)
    dead = Trial(planted.scene.name, planted.name, {"L1": 3, "F": 1}, "never ended", 30.0)

    assert alive.is_as_it_must_be
    assert not dead.is_as_it_must_be


def test_a_scene_that_is_not_clean_without_a_mutant_proves_nothing() -> None:
    assert not Trial("a day", "", {"L7": 1}, "told twice", 30.0).is_as_it_must_be
    assert Trial("a day", "", {}, "", 30.0).is_as_it_must_be


def test_the_page_of_a_fresh_directory_says_that_nothing_was_played() -> None:
    page = report([], [])

    assert f"Not played in this run: {', '.join(FAULTS)}." in page
    assert f"Not played: {', '.join(MUTANTS)}." in page


def test_calls_open_are_told_of_victims_only_that_could_be_asked() -> None:
    crash = Struck(Blow(0, "broker", "crash", 30))

    (row,) = figures_of([result(1, crash)])
    assert row["open_calls"] == ""

    (row,) = figures_of([result(1, crash, kill(4, doubts=0))])
    assert row["open_calls"] == "2, 2"


def test_doubts_are_told_by_reason_whoever_made_them() -> None:
    doubts = {"email connection_lost": 3, "sms connection_lost": 2, "push outcome_lost": 1}

    (row,) = figures_of([result(1, doubts=doubts), result(2, doubts=doubts)])

    assert row["in_doubt"] == "10 connection_lost, 2 outcome_lost"


def test_what_each_kill_left_stands_beside_what_was_in_flight() -> None:
    rounds = [result(1, kill(4, doubts=0), kill(8, doubts=2)), result(2, kill(90, doubts=200))]

    told = {row["in_doubt_after"]: (row["crashes"], row["in_flight"]) for row in crashes_of(rounds)}

    assert told["0"] == (1, "4, 4")
    assert told["1 to 2"] == (1, "8, 8")
    assert told["3 to 9"] == (0, "")
    assert told["100 and more"] == (1, "90, 90")
    assert [(each["seed"], each["in_doubt_after"]) for each in worst_of(rounds)] == [
        (2, 200),
        (1, 2),
    ]


def test_each_kill_is_a_line_of_a_file_beside_the_page() -> None:
    rounds = [result(1, kill(4, doubts=0)), result(2, kill(90, doubts=7))]

    heading, *lines = kills_table(rounds).splitlines()

    assert heading == "fault,seed,commit,at,role,in_flight,open_calls,in_doubt_after"
    assert lines == [
        "kill,1,c0ffee,1970-01-01T00:00:00.000Z,email,4,2,0",
        "kill,2,c0ffee,1970-01-01T00:00:00.000Z,email,90,2,7",
    ]
    assert "[kills.csv](kills.csv)" in report(rounds, [])


def test_what_broke_is_played_again_and_so_is_what_another_commit_passed() -> None:
    broken = result(1, violations=(Violation("L1", "lost", ("b",)),))
    passed, of_old = result(2), result(3, commit="0ld")

    left = still_to_play(KILL.name, range(1, 5), [broken, passed, of_old], "c0ffee")

    assert left == [1, 3, 4]


def test_what_passed_before_a_change_that_is_not_committed_is_played_again() -> None:
    passed = result(1, commit="c0ffee+")

    assert still_to_play(KILL.name, [1], [passed], "c0ffee+") == [1]


def test_only_a_later_commit_makes_a_broken_round_forgotten() -> None:
    broken = result(1, violations=(Violation("L1", "lost", ("b",)),))
    again, mended = result(1), result(1, commit="f00d")

    assert latest_results([broken, again]) == [broken, again]
    assert latest_results([broken, again, mended]) == [mended]
