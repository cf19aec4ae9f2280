"""L5: limits are kept, and are named only where they were reached."""

import pytest

from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import DAY_SECONDS, MINUTE, NOON_MS, Story


def a_cap(story: Story) -> None:
    for place in range(2):
        story.deliver("ann", "news", at_ms=NOON_MS + place * MINUTE)
    number = story.ask("ann", "news", at_ms=NOON_MS + 5 * MINUTE)
    late = {"at_ms": NOON_MS + 5 * MINUTE}
    story.tell(number, "ann", "email", "suppressed", "daily_limit", **late)
    story.send(number, "ann", "in_app", **late)


def a_cap_that_was_reached_while_a_batch_was_under_way(story: Story) -> None:
    number = story.ask("ann", "news")
    for place in (1, 2):
        story.deliver("ann", "news", at_ms=NOON_MS + 20 * place)
    story.tell(number, "ann", "email", "suppressed", "daily_limit")
    story.send(number, "ann", "in_app")


GOOD: list[Tell] = [a_cap, a_cap_that_was_reached_while_a_batch_was_under_way]


@pytest.mark.parametrize("happens", GOOD)
def test_a_limit_that_is_kept_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def three_messages_in_a_second(story: Story) -> None:
    for place in range(3):
        story.deliver("ann", "code", at_ms=NOON_MS + place * 300)


def a_cap_that_is_passed(story: Story) -> None:
    for place in range(3):
        story.deliver("ann", "news", at_ms=NOON_MS + place * MINUTE)


def a_cap_of_their_own_that_is_passed(story: Story) -> None:
    story.wish("ann", "email", daily_limit=1, at_ms=NOON_MS - 2 * MINUTE)
    for place in range(2):
        story.deliver("ann", "order", at_ms=NOON_MS + place * MINUTE)


def a_rate_that_is_passed(story: Story) -> None:
    for place in range(4):
        story.deliver("ann", "code", at_ms=NOON_MS + place * MINUTE)


def a_rate_that_is_passed_untold(story: Story) -> None:
    for place in range(4):
        at_ms = NOON_MS + place * MINUTE
        number = story.ask("ann", "code", at_ms=at_ms)
        story.tell(number, "ann", "sms", "sent", at_ms=at_ms + 90)
        story.take(number, "ann", "sms", at_ms=at_ms + 50)


def deferred_by_a_cap_and_sent_on_the_same_day(story: Story) -> None:
    story.deliver("ann", "digest", ttl_seconds=2 * DAY_SECONDS)
    late = {"at_ms": NOON_MS + MINUTE}
    number = story.ask("ann", "digest", ttl_seconds=2 * DAY_SECONDS, **late)
    story.tell(number, "ann", "email", "deferred", "daily_limit", **late)
    story.take(number, "ann", "email", at_ms=NOON_MS + 2 * MINUTE)
    story.tell(number, "ann", "email", "sent", at_ms=NOON_MS + 2 * MINUTE + 40)


def a_cap_that_was_not_reached(story: Story) -> None:
    number = story.ask("ann", "news")
    story.tell(number, "ann", "email", "suppressed", "daily_limit")
    story.send(number, "ann", "in_app")


def a_rate_that_there_is_not(story: Story) -> None:
    number = story.ask("ann", "news", channels=["email"])
    story.tell(number, "ann", "email", "suppressed", "rate_limited")


def a_rate_that_was_not_reached(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "suppressed", "rate_limited")


BAD: dict[Tell, str] = {
    three_messages_in_a_second: "L5 twilio: more than 2 within 600 ms",
    a_cap_that_is_passed: "L5 ann by email: more than 2 social on one day",
    a_cap_of_their_own_that_is_passed: "L5 ann by email: more than 1",
    a_rate_that_is_passed: "L5 ann by sms: more than 3 within",
    a_rate_that_is_passed_untold: "L5 ann by sms: more than 3 within",
    deferred_by_a_cap_and_sent_on_the_same_day: "L5 ann by email: more than 1 patient on one day",
    a_cap_that_was_not_reached: "L5 daily_limit after 0 of 2",
    a_rate_that_there_is_not: "L5 rate_limited, and there is no such limit",
    a_rate_that_was_not_reached: "L5 rate_limited after 0 of 3",
}


@pytest.mark.parametrize("happens", BAD)
def test_a_limit_passed_or_not_reached_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
