"""Cuts a story that ends badly down to what it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.simulation.process import Process
from tests.simulation.story import Passing, Story
from tests.simulation.telling import Ending, tell

SCHEDULES = 4
"""With less in it a story goes another way; so many are tried, each with another luck."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shortest story found that ends as the long one did, and how it ended."""

    story: Story
    ending: Ending
    told: int
    """Stories it took."""


def shrink(story: Story, ending: Ending, process_class: type[Process] = Process) -> Shrunk:
    """Everything that can be left out is; `ending` is that of `story`, and bad."""
    wanted, told = kind_of(ending.complaints[0]), 0
    best = ending

    def still_fails(candidate: Story) -> Story | None:
        nonlocal told, best
        for luck in range(SCHEDULES):
            told += 1
            tried = replace(candidate, schedule=candidate.schedule + luck)
            ended = tell(tried, process_class)
            if wanted in map(kind_of, ended.complaints):
                best = ended
                return tried
        return None

    before = None
    while story != before:
        before = story
        for cut in (_cut_blows, _cut_steps, _cut_spells, _count_less):
            story = cut(story, still_fails)
    return Shrunk(story, best, told)


def kind_of(complaint: str) -> str:
    """What it says of whomever, whenever: without the names and times in it."""
    first, *words = complaint.partition(" [")[0].split()
    return " ".join([first, *(each for each in words if not any(map(str.isdigit, each)))][:8])


Attempt = Callable[[Story], Story | None]


def _cut_steps(story: Story, still_fails: Attempt) -> Story:
    return _cut(story, len(story.steps), lambda kept, now: _keep(now, steps=kept), still_fails)


def _cut_blows(story: Story, still_fails: Attempt) -> Story:
    return _cut(story, len(story.blows), lambda kept, now: _keep(now, blows=kept), still_fails)


def _cut_spells(story: Story, still_fails: Attempt) -> Story:
    return _cut(story, len(story.spells), lambda kept, now: _keep(now, spells=kept), still_fails)


def _count_less(story: Story, still_fails: Attempt) -> Story:
    """With less before it, a blow strikes at an earlier passing of the same kind."""
    for number, blow in enumerate(story.blows):
        if isinstance(blow.when, Passing):
            for nth in range(1, blow.when.nth):
                earlier = replace(blow, when=replace(blow.when, nth=nth))
                blows = [*story.blows[:number], earlier, *story.blows[number + 1 :]]
                shorter = still_fails(replace(story, blows=blows))
                if shorter is not None:
                    story = shorter
                    break
    return story


def _cut(
    story: Story,
    count: int,
    keep: Callable[[Sequence[int], Story], Story],
    still_fails: Attempt,
) -> Story:
    """Leave out half, then quarters, down to single ones, from the end to the beginning."""
    size = (count + 1) // 2
    while size:
        at = count - size
        while at > -size and count:
            kept = [each for each in range(count) if not max(at, 0) <= each < at + size]
            shorter = still_fails(keep(kept, story))
            if shorter is not None:
                story, count = shorter, len(kept)
            at -= size
        size //= 2
    return story


def _keep(
    story: Story,
    *,
    steps: Sequence[int] | None = None,
    blows: Sequence[int] | None = None,
    spells: Sequence[int] | None = None,
) -> Story:
    return story.cut(
        steps=range(len(story.steps)) if steps is None else steps,
        blows=range(len(story.blows)) if blows is None else blows,
        spells=range(len(story.spells)) if spells is None else spells,
    )
