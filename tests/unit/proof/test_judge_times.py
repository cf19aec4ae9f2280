"""L2 of when: nothing goes out before it was asked for, nor after it has expired."""

import pytest

from proof.checker.instants import text_of
from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import HOUR, MINUTE, NOON_MS, SECOND, Story


def sent_when_it_was_to_be(story: Story) -> None:
    _scheduled(story, sent_ms=NOON_MS + MINUTE)


def sent_in_the_last_second_of_its_life(story: Story) -> None:
    _short_lived(story, taken_ms=NOON_MS + MINUTE - 1)


def taken_while_the_call_was_under_way(story: Story) -> None:
    story.evidence.circumstances.stop_ms = 7 * SECOND
    _short_lived(story, taken_ms=NOON_MS + MINUTE + 7 * SECOND)


GOOD: list[Tell] = [
    sent_when_it_was_to_be,
    sent_in_the_last_second_of_its_life,
    taken_while_the_call_was_under_way,
]


@pytest.mark.parametrize("happens", GOOD)
def test_what_goes_out_in_its_time_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def sent_before_it_was_to_be(story: Story) -> None:
    _scheduled(story, sent_ms=NOON_MS + 20 * SECOND)


def shown_before_it_was_to_be(story: Story) -> None:
    number = story.ask("ann", "news", channels=["in_app"], send_at=text_of(NOON_MS + MINUTE))
    story.send(number, "ann", "in_app")


def sent_after_it_had_expired(story: Story) -> None:
    _short_lived(story, taken_ms=NOON_MS + 50 * MINUTE)


def taken_before_it_was_asked_for(story: Story) -> None:
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.take(number, "ann", "email", at_ms=NOON_MS - HOUR // 2)
    story.tell(number, "ann", "email", "sent")


BAD: dict[Tell, str] = {
    sent_before_it_was_to_be: "L2 reached 39950 ms before it was to be sent",
    shown_before_it_was_to_be: "L2 reached 59910 ms before it was to be sent",
    sent_after_it_had_expired: "L2 reached 2940000 ms after it had expired",
    taken_before_it_was_asked_for: "L2 reached 1800000 ms before it was to be sent",
}


@pytest.mark.parametrize("happens", BAD)
def test_what_goes_out_too_early_or_too_late_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])


def _scheduled(story: Story, *, sent_ms: int) -> None:
    number = story.ask("ann", "order", channels=["email"], send_at=text_of(NOON_MS + MINUTE))
    story.tell(number, "ann", "email", "deferred", "scheduled")
    story.send(number, "ann", "email", at_ms=sent_ms)


def _short_lived(story: Story, *, taken_ms: int) -> None:
    number = story.ask("ann", "order", channels=["email"], ttl_seconds=60)
    story.tell(number, "ann", "email", "queued")
    story.take(number, "ann", "email", at_ms=taken_ms)
    story.tell(number, "ann", "email", "sent", at_ms=taken_ms + 40)
