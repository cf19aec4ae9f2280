"""A bug in any stage, or in a rule of the engine, makes a story end badly before long.

`python -m tests.simulation --bug NAME` searches from the first seed on.
"""

import pytest

from tests.simulation.planted import BUGS, planted
from tests.simulation.telling import tell
from tests.simulation.writing import all_points, write

KNOWN = {
    "decide:done_before_the_rest": 3,
    "decide:records_before_the_rest": 1,
    "decide:nothing_remembered": 5,
    "reconsider:rows_before_the_rest": 22,
    "reconsider:nothing_remembered": 169,
    "accept_broadcast:rows_before_the_rest": 13,
    "start_broadcast:done_before_the_rest": 27,
    "fan_out:rows_before_the_rest": 28,
    "fan_out:records_before_the_rest": 19,
    "keep_recipients:done_before_the_rest": 13,
    "keep_recipients:records_before_the_rest": 100,
    "keep_recipients:nobody_told": 0,
    "keep_addresses:done_before_the_rest": 140,
    "keep_addresses:nobody_told": 0,
    "wake:done_before_the_rest": 212,
    "wake:rows_before_the_rest": 508,
    "wake:records_before_the_rest": 117,
    "send:done_before_the_rest": 2,
    "send:rows_before_the_rest": 2,
    "send:records_before_the_rest": 2,
    "release:done_before_the_rest": 249,
    "release:nothing_remembered": 4,
    "proofread:never_done": 0,
    "keep_inbox:rows_before_the_rest": 69,
    "keep_inbox:records_before_the_rest": 60,
    "engine:RowsAppliedBeforeTheCommit": 2,
    "engine:RowsAndRecordsOutsideATransaction": 10,
    "engine:PositionsAheadOfTheWork": 0,
    "engine:RecordsDoneWithTheirFirstPart": 4,
    "engine:PartsForgottenAtTakeOver": 14,
    "engine:AnyClockBelieved": 849,
    "engine:NoFencingAtTakeOver": 1,
    "engine:GivingUpWithoutADrain": 29,
    "engine:NoLease": 37,
    "logic:acknowledge-before-sending": 1,
    "logic:skip-the-intent": 1,
    "logic:doubt-untold": 2,
    "logic:drop-on-429": 5,
    "logic:retry-a-lost-reply": 6,
    "logic:resend-the-whole-batch": 51,
    "logic:mix-up-a-batch": 7,
    "logic:pause-unheard": 116,
    "logic:cancellation-unheard": 6,
    "logic:opt-outs-not-kept": 0,
    "logic:half-a-life": 133,
    "logic:never-expires": 7,
    "logic:at-once": 3,
    "logic:no-dedup-window": 5,
    "logic:conflict-untold": 22,
    "logic:utc-for-local-time": 2,
    "logic:no-caps": 7,
    "logic:slice-off-by-one": 6,
    "logic:misplaced-not-forwarded": 0,
    "logic:sold-phone-kept": 0,
    "logic:ranks-alike": 0,
    "logic:rubbish-thrown-away": 8,
    "logic:stops-unasked": 172,
    "logic:opt-outs-unasked": 18,
    "logic:window-too-long": 228,
    "logic:window-too-short": 130,
    "logic:no-limiter": 201,
    "logic:fallback-forgotten": 15,
    "logic:given-up-without-a-call": 9,
    "logic:given-up-at-once": 27,
    "logic:throttled-counts": 5,
    "logic:retry-after-ignored": 7,
    "logic:forwarded-elsewhere": 3,
    "logic:no-dead-letter": 8,
    "logic:forwarded-too-late": 14,
    "logic:no-head-start": 374,
}
"""The first seed that found it. It is asked first; where stories have changed since, all are."""
MOST_SEEDS = 1000
_KINDS = {"engine", "logic"}
"""Of bugs that are of no stage."""


def test_every_stage_has_bugs_planted() -> None:
    yields = {each.name.partition(".") for each in all_points()}
    stages = {name for name, _, number in yields if number}  # the engine has none
    planted_in = {each.partition(":")[0] for each in BUGS} - _KINDS

    assert stages == {each.title().replace("_", "") for each in planted_in}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_within_a_thousand_seeds(bug: str) -> None:
    assert KNOWN[bug] < MOST_SEEDS
    seeds = (KNOWN[bug], *range(MOST_SEEDS))

    with planted(bug) as process_class:
        found = next((seed for seed in seeds if tell(write(seed), process_class).complaints), None)

    assert found is not None
    assert not tell(write(found)).complaints, "found without it too"
