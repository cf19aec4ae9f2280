"""The search itself: what it counts, and what it tells of a seed that fails."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from proof.kept import Kept
from proof.named_yields import Point
from tests.simulation.__main__ import main
from tests.simulation.coverage import ENOUGH_SEEDS, FAULTS, empty_cells, table
from tests.simulation.keeping import Search, search_of
from tests.simulation.planted import planted
from tests.simulation.retelling import retell
from tests.simulation.searching import Failure, Tally, play
from tests.simulation.shrinking import kind_of, shrink
from tests.simulation.telling import tell
from tests.simulation.writing import all_points, write

BUG = "decide:done_before_the_rest"


@pytest.fixture(scope="module")
def seed() -> int:
    """One that finds the bug."""
    with planted(BUG) as process_class:
        return next(seed for seed in range(100) if tell(write(seed), process_class).complaints)


def test_a_failing_story_is_cut_down_to_what_it_takes_and_can_be_told(seed: int) -> None:
    story = write(seed)
    with planted(BUG) as process_class:
        ending = tell(story, process_class)

        shrunk = shrink(story, ending, process_class)
    text = "\n".join(retell(shrunk.story, shrunk.ending))

    assert len(shrunk.story.steps) <= 2 < len(story.steps)
    assert len(shrunk.story.blows) == 1 < len(story.blows)
    assert kind_of(shrunk.ending.complaints[0]) == kind_of(ending.complaints[0])
    assert "said      notifications.requested" in text
    assert "STRUCK    decide-" in text
    assert "L1 nothing was ever said of a request" in text


def test_the_command_of_a_search_that_fails_says_how_to_see_it_again(
    capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    assert main(["--first", str(seed), "--seeds", "1", "--processes", "1", "--bug", BUG]) == 1

    said = capsys.readouterr().out
    assert f"python -m tests.simulation {seed} --bug {BUG}" in said
    assert main([str(seed)]) == 0, "without the bug"


def test_every_point_of_every_stage_is_counted_and_one_that_nothing_struck_is_told() -> None:
    tally = play(range(5))

    assert tally.seeds == 5
    assert 0 < tally.crash_points <= sum(tally.cells.values())
    assert empty_cells(tally.cells)
    everything = Counter({(point, fault): 1 for point in all_points() for fault in FAULTS})
    assert empty_cells(everything) == []
    assert {str(point) for point in all_points()} <= {line.split()[0] for line in table(everything)}


def test_searches_of_one_commit_that_are_kept_add_up_to_a_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, page = tmp_path / "kept.jsonl", tmp_path / "page.md"
    kept = Kept(file, Search)
    kept.append(search_named("an older one", first=0, tally=Tally(seeds=7, cpu_seconds=1.0)))
    tallies = [play(range(5, 9)), play(range(5))]
    tallies[0].failures = [Failure(6, "L1 nothing was ever said of it")]
    for first, tally in zip((5, 0), tallies, strict=True):
        kept.append(search_named("this one", first=first, tally=tally))

    assert main(["--seeds", "0", "--keep", str(file), "--report", str(page)]) == 0

    text = page.read_text()
    crash_points = sum(each.crash_points for each in tallies)
    killed = sum(each.cells[Point("Decide.1", "yielded"), "killed"] for each in tallies)
    assert "an older one" not in text
    assert f": 9 seeds, {crash_points} crash points, 1 failed." in text
    assert text.index("| 0 to 4 | 5 | this one |") < text.index("| 5 to 8 | 4 | this one |")
    assert 'make simulate SEEDS=5 ARGS="--first 0"' in text
    assert "- seed 6 failed: L1 nothing was ever said of it; it is clean in " in text
    assert f"| `Decide.1:yielded` | {killed} |" in text

    kept.append(search_named("this one", first=8, tally=tallies[0]))

    assert main(["--seeds", "0", "--keep", str(file), "--report", str(page)]) == 2
    assert capsys.readouterr().err == f"{file}: seeds 8 to 8 would be counted twice\n"
    assert page.read_text() == text


def test_a_page_adds_up_the_commits_that_it_is_told_to(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, page = tmp_path / "kept.jsonl", tmp_path / "page.md"
    for first, commit in enumerate(("c0", "c1", "c2")):
        kept = search_named(commit, first=first, tally=Tally(seeds=1, cpu_seconds=1.0))
        Kept(file, Search).append(kept)
    words = ["--seeds", "0", "--keep", str(file), "--report", str(page), "--commits"]

    assert main([*words, "c2", "c0"]) == 0

    text = page.read_text()
    assert ": 2 seeds," in text
    assert text.index("| 0 to 0 | 1 | c0 |") < text.index("| 2 to 2 | 1 | c2 |")
    assert "c1" not in text

    assert main([*words, "c3"]) == 2
    assert capsys.readouterr().err == f"{file}: no such search is kept there\n"


def test_a_page_of_enough_seeds_tells_what_was_never_struck(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, page = tmp_path / "kept.jsonl", tmp_path / "page.md"
    everything = Counter({(point, fault): 1 for point in all_points() for fault in FAULTS})
    known = Point("Decide.1", "yielded")
    for first in (0, ENOUGH_SEEDS // 2):
        tally = Tally(seeds=ENOUGH_SEEDS // 2, cpu_seconds=1.0, cells=everything.copy())
        del tally.cells[known, "wiped"]
        Kept(file, Search).append(search_named("one", first=first, tally=tally))

    assert main(["--seeds", "0", "--keep", str(file), "--report", str(page)]) == 1

    assert capsys.readouterr().out == "NEVER wiped at Decide.1:yielded\n"
    assert "- never wiped at `Decide.1:yielded`" in page.read_text()


def test_a_search_is_kept_once_and_its_seeds_are_not_played_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "kept.jsonl"
    words = ["--processes", "1", "--keep", str(file), "--seeds"]

    assert main([*words, "2", "--first", "3"]) == 0
    assert main([*words, "4"]) == 2

    (kept,) = Kept(file, Search).all
    assert (kept.played, kept.failures) == (range(3, 5), [])
    assert kept.crash_points == play(range(3, 5)).crash_points
    assert "seeds 3 to 3 would be counted twice" in capsys.readouterr().err


def search_named(commit: str, *, first: int, tally: Tally) -> Search:
    kept = search_of(tally, first=first, seconds=1.0, processes=1)
    return msgspec.structs.replace(kept, commit=commit)
