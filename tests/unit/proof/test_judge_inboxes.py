"""L1, L2, L3 of inboxes: what is told to be shown is there, once, and nothing else is."""

import pytest

from proof.checker.contents import hash_of
from proof.checker.evidence import Shown
from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import Story


def shown_and_told(story: Story) -> None:
    _show(story, _told(story))


def suppressed_and_not_shown(story: Story) -> None:
    story.evidence.circumstances.has_inboxes = True
    story.wish("ann", "in_app", enabled=False, at_ms=story.evidence.known[0].at_ms - 1)
    number = story.ask("ann", "news", channels=["in_app"])
    story.tell(number, "ann", "in_app", "suppressed", "opted_out_channel")


def told_where_nobody_reads_inboxes(story: Story) -> None:
    _told(story)
    story.evidence.circumstances.has_inboxes = False


GOOD: list[Tell] = [shown_and_told, suppressed_and_not_shown, told_where_nobody_reads_inboxes]


@pytest.mark.parametrize("happens", GOOD)
def test_an_inbox_that_has_what_is_told_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def told_and_not_shown(story: Story) -> None:
    _told(story)


def shown_twice(story: Story) -> None:
    number = _told(story)
    _show(story, number)
    _show(story, number)


def shown_to_another(story: Story) -> None:
    _show(story, _told(story), user="bob")


def shown_as_something_else(story: Story) -> None:
    _show(story, _told(story), body_hash=1)


def shown_and_told_to_have_failed(story: Story) -> None:
    story.evidence.circumstances.has_inboxes = True
    number = story.ask("ann", "news", channels=["in_app"])
    story.tell(number, "ann", "in_app", "queued")
    story.tell(number, "ann", "in_app", "failed", "stage_error")
    _show(story, number)


def shown_and_never_spoken_of(story: Story) -> None:
    number = _told(story)
    _show(story, number)
    story.evidence.shown.append(Shown("bob", "another", hash_of("in_app", "9")))


BAD: dict[Tell, str] = {
    told_and_not_shown: "L1 said to be shown, and no inbox has it",
    shown_twice: "L3 put into an inbox 2 times",
    shown_to_another: "L2 in the inbox of bob",
    shown_as_something_else: "L2 another content than was asked for",
    shown_and_told_to_have_failed: "L1 an inbox has it, and nobody says so",
    shown_and_never_spoken_of: "L2 in an inbox, and no receipt of an inbox speaks of it",
}


@pytest.mark.parametrize("happens", BAD)
def test_an_inbox_that_differs_from_what_is_told_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])


def _told(story: Story) -> int:
    story.evidence.circumstances.has_inboxes = True
    number = story.ask("ann", "news", channels=["in_app"])
    story.send(number, "ann", "in_app")
    return number


def _show(story: Story, number: int, *, user: str = "ann", body_hash: int | None = None) -> None:
    content = hash_of("in_app", str(number)) if body_hash is None else body_hash
    delivery_id = story.accepted[number, "ann in_app"]
    story.evidence.shown.append(Shown(user, delivery_id, content))
