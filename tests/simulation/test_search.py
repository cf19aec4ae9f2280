"""The search itself: what it counts, and what it tells of a seed that fails."""

from collections import Counter

import pytest

from tests.simulation.__main__ import main
from tests.simulation.coverage import FAULTS, empty_cells, table
from tests.simulation.planted import planted
from tests.simulation.retelling import retell
from tests.simulation.searching import play
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
