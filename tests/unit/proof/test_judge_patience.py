"""L5: whom a provider refused it is not asked about again too soon, and throttling costs no attempt."""

from typing import Any

import msgspec
import pytest

from proof.checker.evidence import Refusal
from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import MINUTE, NOON_MS, SECOND, Story

REFUSED_MS = NOON_MS + 50


def called_twice(
    story: Story, *, status: int, after_ms: int, again_ms: int = 0, attempt: int = 1,
    is_forgotten: bool = False,
) -> None:  # fmt: skip
    """An SMS that its provider refused, and took when it was asked again."""
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    delivery_id = story.accepted[number, "ann sms"]
    story.evidence.refusals.append(
        Refusal(REFUSED_MS, "twilio", status, again_ms, 0, 1, [delivery_id], ["+1ann"], "twilio")
    )
    if is_forgotten:
        story.strike("sms", at_ms=REFUSED_MS + 20)
        lost = {"at_ms": REFUSED_MS + 99, "is_final": False}
        story.tell(number, "ann", "sms", "in_doubt", "outcome_lost", **lost)
    later_ms = REFUSED_MS + after_ms
    story.take(number, "ann", "sms", at_ms=later_ms, attempt=attempt)
    story.tell(number, "ann", "sms", "sent", at_ms=later_ms + 40)


def throttled_and_called_when_it_may(story: Story) -> None:
    called_twice(story, status=429, after_ms=3 * SECOND, again_ms=REFUSED_MS + 3 * SECOND)


def throttled_without_a_word_and_called_a_second_later(story: Story) -> None:
    called_twice(story, status=429, after_ms=SECOND)


def throttled_twice(story: Story, *, between_ms: int) -> None:
    called_twice(story, status=429, after_ms=SECOND + between_ms)
    first = story.evidence.refusals[0]
    again = msgspec.structs.replace(first, at_ms=first.at_ms + SECOND)
    story.evidence.refusals.append(again)


def throttled_twice_and_called_after_twice_the_time(story: Story) -> None:
    throttled_twice(story, between_ms=2 * SECOND)


def throttled_and_then_not_even_reached(story: Story) -> None:
    called_twice(story, status=429, after_ms=31 * SECOND, attempt=2)
    story.tell(0, "ann", "sms", "deferred", "unreachable", at_ms=REFUSED_MS + SECOND)
    story.evidence.receipts.append(story.evidence.receipts.pop(1))


def another_phone_that_is_called_at_once(story: Story) -> None:
    called_twice(story, status=429, after_ms=10, again_ms=REFUSED_MS + SECOND)
    story.evidence.refusals[0].addresses = ["+1anns-other-phone"]


def unreachable_and_called_by_the_ladder(story: Story) -> None:
    called_twice(story, status=0, after_ms=27 * SECOND, attempt=2)


def refused_as_part_of_a_batch_that_was_spoilt(story: Story) -> None:
    called_twice(story, status=400, after_ms=10)
    story.evidence.refusals[0].delivery_ids.append("somebody else's")
    story.evidence.refusals[0].addresses.append("+1bob")


def in_doubt_since_a_crash_had_lost_that_it_was_throttled(story: Story) -> None:
    until_ms = NOON_MS + MINUTE
    called_twice(
        story, status=429, after_ms=30 * SECOND, again_ms=until_ms, attempt=2, is_forgotten=True
    )


def given_up_after_all_calls(story: Story) -> None:
    _given_up(story, refused=4)


def in_doubt_three_times_and_then_not_even_reached(story: Story) -> None:
    story.storm("sms", "lose")
    number = story.ask("ann", "code", channels=["sms"])
    story.tell(number, "ann", "sms", "queued")
    for place in range(3):
        doubt: Any = {"at_ms": NOON_MS + place * 10 * MINUTE, "attempt": place + 1}
        story.tell(number, "ann", "sms", "in_doubt", "timeout", is_final=False, **doubt)
    given_up_ms = NOON_MS + 40 * MINUTE
    story.tell(number, "ann", "sms", "failed", "attempts_exhausted", at_ms=given_up_ms)
    story.send(number, "ann", "email", at_ms=given_up_ms)


GOOD: list[Tell] = [
    given_up_after_all_calls,
    in_doubt_three_times_and_then_not_even_reached,
    throttled_and_called_when_it_may,
    throttled_without_a_word_and_called_a_second_later,
    throttled_twice_and_called_after_twice_the_time,
    throttled_and_then_not_even_reached,
    another_phone_that_is_called_at_once,
    unreachable_and_called_by_the_ladder,
    refused_as_part_of_a_batch_that_was_spoilt,
    in_doubt_since_a_crash_had_lost_that_it_was_throttled,
]


@pytest.mark.parametrize("happens", GOOD)
def test_who_waits_as_long_as_asked_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def called_before_retry_after(story: Story) -> None:
    called_twice(story, status=429, after_ms=2 * SECOND, again_ms=REFUSED_MS + 3 * SECOND)


def unavailable_and_called_before_retry_after(story: Story) -> None:
    called_twice(story, status=503, after_ms=30 * SECOND, again_ms=REFUSED_MS + MINUTE, attempt=2)


def throttled_and_called_at_once(story: Story) -> None:
    called_twice(story, status=429, after_ms=SECOND - 1)


def throttled_twice_and_called_as_soon_as_before(story: Story) -> None:
    throttled_twice(story, between_ms=2 * SECOND - 1)


def refused_for_good_and_called_again(story: Story) -> None:
    called_twice(story, status=400, after_ms=MINUTE)


def throttled_and_an_attempt_spent(story: Story) -> None:
    called_twice(story, status=429, after_ms=30 * SECOND, attempt=2)


def unreachable_and_called_at_once(story: Story) -> None:
    called_twice(story, status=0, after_ms=26 * SECOND, attempt=2)


def unreachable_and_no_attempt_spent(story: Story) -> None:
    called_twice(story, status=0, after_ms=30 * SECOND, attempt=1)


def refused_more_often_than_its_rate_allows(story: Story) -> None:
    for place in range(3):
        story.evidence.refusals.append(
            Refusal(NOON_MS + place * 100, "twilio", 503, 0, line="twilio")
        )


def given_up_without_a_call(story: Story) -> None:
    _given_up(story, refused=0)


def given_up_after_three_calls(story: Story) -> None:
    _given_up(story, refused=3)


def _given_up(story: Story, *, refused: int) -> None:
    story.storm("email", "refuse")
    number = story.ask("ann", "news", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    for place in range(refused):
        delivery_id, at_ms = story.accepted[number, "ann email"], NOON_MS + place * 10 * MINUTE
        called = (at_ms, "sendgrid", 503, 0, 0, place + 1, [delivery_id], ["ann@example.org"])
        story.evidence.refusals.append(Refusal(*called, "sendgrid"))
    story.tell(number, "ann", "email", "failed", "attempts_exhausted", at_ms=NOON_MS + 40 * MINUTE)
    story.bury(number, "ann", "email", "attempts_exhausted")


BAD: dict[Tell, str] = {
    given_up_without_a_call: "L5 given up, though nothing tells of attempt 1",
    given_up_after_three_calls: "L5 given up, though nothing tells of attempt 4",
    called_before_retry_after: "as attempt 1, 1000 ms before its Retry-After was over",
    unavailable_and_called_before_retry_after: "L5 called again after 30000 ms, as attempt 2, which",
    throttled_and_called_at_once: "999 ms, as attempt 1, which is too soon after throttle 1",
    throttled_twice_and_called_as_soon_as_before: "1999 ms, as attempt 1, which is too soon",
    refused_for_good_and_called_again: "though it was refused for good",
    throttled_and_an_attempt_spent: "as attempt 2, though throttling attempt 1 costs none",
    unreachable_and_called_at_once: "L5 called again after 26000 ms, as attempt 2, which is too soon",
    unreachable_and_no_attempt_spent: "L5 called again after 30000 ms, as attempt 1, after attempt 1",
    refused_more_often_than_its_rate_allows: "L5 twilio: more than 2 within 200 ms",
}


@pytest.mark.parametrize("happens", BAD)
def test_who_is_called_about_too_soon_or_too_often_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
