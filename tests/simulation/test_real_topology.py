"""The topology that workers run, under faults: what was promised is what happened.

`make simulate SEEDS=100000` plays more stories than the suite does.
"""

import random
from collections import defaultdict
from dataclasses import replace

import pytest

from policies.receipt_merge import fold
from schemas.receipt import Receipt
from tests.simulation.carrier import Moods
from tests.simulation.searching import play
from tests.simulation.story import Story
from tests.simulation.telling import Ending, tell
from tests.simulation.writing import write

CLEAN = ("stop", "visit")
FOUND = (
    103060, 159680, 170738, 40427, 97783, 85396, 113825, 165150, 55205, 137010, 145832, 195448,
    6012571, 8093110, 8118437, 8129930, 9011006, 9037638, 10014647, 12318357, 14080042, 15081183,
)  # fmt: skip
"""A token registered late, or given up before another claimed it, was sent to; clocks set forth and
back, limits that these told of early, awakenings, drains, words of one instant and places in line
were judged wrongly; the last of a batch was judged by the instant of the first; who was deleted and
named again by a producer had, to senders, their own old address."""


def clean(story: Story) -> Story:
    """Its workers are restarted and scaled, and its providers answer: nothing else happens."""
    blows = [each for each in story.blows if each.kind in CLEAN]
    moods = replace(story.moods, loses_request=0.0, loses_reply=0.0)
    return replace(story, blows=blows, spells=(), moods=moods)


def doubts(ending: Ending) -> list[str]:
    assert ending.found is not None
    return [each.reason for each in ending.found.receipts if each.status == "in_doubt"]


@pytest.mark.parametrize("first_seed", range(0, 1000, 250))
def test_a_thousand_stories_break_no_promise(first_seed: int) -> None:
    tally = play(range(first_seed, first_seed + 250))

    assert tally.failures == [], "to see one again: python -m tests.simulation SEED"


@pytest.mark.parametrize("seed", FOUND)
def test_a_story_that_found_something_once_breaks_no_promise(seed: int) -> None:
    assert tell(write(seed)).complaints == []


def test_clean_restarts_and_rebalances_leave_nothing_in_doubt() -> None:
    for seed in range(100):
        ending = tell(clean(write(seed)))

        assert ending.complaints == [], f"seed {seed}"
        assert doubts(ending) == [], f"seed {seed}"


def test_without_faults_whatever_stops_a_delivery_does_so_within_a_second() -> None:
    for seed in range(100):
        story = replace(write(seed), blows=(), spells=(), tail_delay_seconds=0.0, moods=Moods())

        assert tell(story, stop_ms=1000).complaints == [], f"seed {seed}"


def test_receipts_of_a_story_lead_to_one_state_in_whatever_order_they_come() -> None:
    """What a provider reports later is not read yet; when it is, it comes in any order too."""
    for seed in range(100):
        found, chance = tell(write(seed)).found, random.Random(seed)
        assert found is not None
        told: defaultdict[str, list[Receipt]] = defaultdict(list)
        for receipt in found.receipts:
            told[receipt.delivery_id].append(receipt)

        for receipts in told.values():
            state = fold(None, receipts)
            again = chance.sample(receipts, len(receipts)) + chance.sample(receipts, 1)

            assert fold(None, again) == state, f"seed {seed}"


def test_a_story_is_the_same_however_often_it_is_told() -> None:
    first, second = (tell(write(5)) for _ in range(2))

    assert first.found is not None
    assert second.found is not None
    assert first.struck == second.struck
    assert first.found.receipts == second.found.receipts
    assert first.found.acceptances == second.found.acceptances
