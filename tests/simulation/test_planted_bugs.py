"""A bug in any stage, or in a rule of the engine, makes a story end badly before long.

`python -m tests.simulation --bug NAME` searches from the first seed on.
"""

import pytest

from tests.simulation.planted import BUGS
from tests.simulation.telling import tell
from tests.simulation.writing import write

KNOWN = {
    "decide:done_before_the_rest": 0,
    "decide:records_before_the_rest": 0,
    "decide:nothing_remembered": 0,
    "reconsider:rows_before_the_rest": 70,
    "reconsider:nothing_remembered": 24,
    "accept_broadcast:rows_before_the_rest": 10,
    "start_broadcast:done_before_the_rest": 11,
    "fan_out:rows_before_the_rest": 7,
    "fan_out:records_before_the_rest": 20,
    "keep_recipients:done_before_the_rest": 18,
    "keep_recipients:records_before_the_rest": 67,
    "keep_recipients:nobody_told": 8,
    "keep_addresses:done_before_the_rest": 8,
    "keep_addresses:nobody_told": 8,
    "wake:done_before_the_rest": 49,
    "wake:rows_before_the_rest": 170,
    "wake:records_before_the_rest": 8,
    "send:done_before_the_rest": 12,
    "send:rows_before_the_rest": 12,
    "send:records_before_the_rest": 24,
    "release:done_before_the_rest": 58,
    "release:nothing_remembered": 4,
    "keep_inbox:rows_before_the_rest": 15,
    "keep_inbox:records_before_the_rest": 8,
    "engine:RowsAppliedBeforeTheCommit": 0,
    "engine:RowsAndRecordsOutsideATransaction": 9,
    "engine:PositionsAheadOfTheWork": 0,
    "engine:NoFencingAtTakeOver": 1,
    "engine:GivingUpWithoutADrain": 1,
    "engine:NoLease": 99,
}
"""The first seed that found it. It is asked first; where stories have changed since, all are."""
MOST_SEEDS = 1000


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_within_a_thousand_seeds(bug: str) -> None:
    seeds = (KNOWN[bug], *range(MOST_SEEDS))

    found = next((seed for seed in seeds if tell(write(seed), BUGS[bug]).complaints), None)

    assert found is not None
    assert not tell(write(found)).complaints, "found without it too"
