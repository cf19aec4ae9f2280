"""What the checker says of stories made by hand: the good are clean, the spoilt are told of by name."""

from collections.abc import Callable

from proof.checker.judge import judge
from tests.unit.proof.story import Story

Tell = Callable[[Story], None]


def opening() -> Story:
    story = Story()
    for user in ("ann", "bob"):
        story.introduce(user)
    return story


def told(happens: Tell) -> list[str]:
    story = opening()
    happens(story)
    return [str(each) for each in judge(story.evidence).violations]


def assert_clean(happens: Tell) -> None:
    found = told(happens)

    assert found == [], found


def assert_told_of(happens: Tell, promise: str) -> None:
    """By the name of the promise, or by what is wrong."""
    found = told(happens)

    assert any(promise in each for each in found), found
