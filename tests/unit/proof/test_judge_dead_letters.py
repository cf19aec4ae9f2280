"""L8: all comes to rest, and what nobody can use as one dead letter."""

import pytest

from proof.checker.evidence import Data
from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import Story
from tests.unit.proof.test_judge_loss import a_delivery_without_an_end


def _fail_to_render(story: Story, kind: str, channel: str) -> int:
    number = story.ask("ann", kind, channels=[channel], data=Data())
    story.tell(number, "ann", channel, "queued")
    story.tell(number, "ann", channel, "failed", "template_error")
    return number


def news_that_nobody_can_render(story: Story) -> None:
    number = _fail_to_render(story, "news", "email")
    story.bury(number, "ann", "email", "template_error")


GOOD: list[Tell] = [news_that_nobody_can_render]


@pytest.mark.parametrize("happens", GOOD)
def test_a_dead_letter_of_what_failed_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def rubbish_that_vanishes(story: Story) -> None:
    story.blunder(buried=0)


def rubbish_that_is_buried_twice(story: Story) -> None:
    story.blunder(buried=2)


def news_that_fail_without_a_dead_letter(story: Story) -> None:
    _fail_to_render(story, "news", "email")


def news_buried_for_another_cause(story: Story) -> None:
    number = _fail_to_render(story, "news", "email")
    story.bury(number, "ann", "email", "attempts_exhausted")


def a_dead_letter_of_what_was_sent(story: Story) -> None:
    number = story.deliver("ann", "news")
    story.bury(number, "ann", "email", "attempts_exhausted")


def a_dead_letter_of_what_goes_on_by_its_fallback(story: Story) -> None:
    number = _fail_to_render(story, "code", "sms")
    story.tell(number, "ann", "email", "queued")
    story.tell(number, "ann", "email", "failed", "template_error")
    for channel in ("sms", "email"):
        story.bury(number, "ann", channel, "template_error")


def no_rest(story: Story) -> None:
    a_delivery_without_an_end(story)
    story.evidence.circumstances.is_at_rest = False


BAD: dict[Tell, str] = {
    rubbish_that_vanishes: "L8 rubbish without a dead letter",
    rubbish_that_is_buried_twice: "L8 2 dead letters of one record",
    news_that_fail_without_a_dead_letter: "L8 failed template_error, and no dead letter holds it",
    news_buried_for_another_cause: "L8 failed template_error, and no dead letter holds it",
    a_dead_letter_of_what_was_sent: "L8 a dead letter for attempts_exhausted of what may go on",
    a_dead_letter_of_what_goes_on_by_its_fallback: "L8 a dead letter for template_error",
    no_rest: "L8 not all had come to rest when the time for it was over [delivery ",
}


@pytest.mark.parametrize("happens", BAD)
def test_a_dead_letter_missing_or_too_many_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
