"""L2, L3: a message goes out a second time only in doubt, and in doubt is only what a crash left."""

import pytest

from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import MINUTE, NOON_MS, SECOND, Story


def a_second_call_after_a_crash(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.take(number, "ann", "sms")
    story.strike("sms", at_ms=NOON_MS + SECOND)
    lost = {"at_ms": NOON_MS + 2 * SECOND, "is_final": False}
    story.tell(number, "ann", "sms", "in_doubt", "outcome_lost", **lost)
    story.take(number, "ann", "sms", at_ms=NOON_MS + 32 * SECOND)
    story.tell(number, "ann", "sms", "sent", at_ms=NOON_MS + 33 * SECOND)


def _a_fallback_in_doubt(story: Story, kind: str, channel: str, fallback: str) -> None:
    number = story.ask("ann", kind, channels=[channel])
    story.tell(number, "ann", channel, "queued")
    story.take(number, "ann", channel)
    story.strike(channel, at_ms=NOON_MS + SECOND)
    story.tell(number, "ann", channel, "in_doubt", "outcome_lost", at_ms=NOON_MS + MINUTE)
    story.send(number, "ann", fallback, at_ms=NOON_MS + MINUTE)


def a_code_in_doubt_that_goes_on_by_its_fallback(story: Story) -> None:
    _a_fallback_in_doubt(story, "code", "sms", "email")


def a_doubt_told_a_while_after_the_crash(story: Story) -> None:
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.strike("email", at_ms=NOON_MS + SECOND)
    late = {"at_ms": NOON_MS + MINUTE}
    story.tell(number, "ann", "email", "in_doubt", "outcome_lost", **late)


GOOD: list[Tell] = [
    a_second_call_after_a_crash,
    a_code_in_doubt_that_goes_on_by_its_fallback,
    a_doubt_told_a_while_after_the_crash,
]


@pytest.mark.parametrize("happens", GOOD)
def test_a_doubt_that_a_crash_left_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def an_order_in_doubt_that_goes_on_by_its_fallback(story: Story) -> None:
    _a_fallback_in_doubt(story, "order", "email", "sms")


def a_batch_sent_again(story: Story) -> None:
    number = story.deliver("ann", "code")
    story.take(number, "ann", "sms", at_ms=NOON_MS + MINUTE)


def an_unacknowledged_request_sent_twice(story: Story) -> None:
    a_batch_sent_again(story)
    story.leave_unacknowledged()


def an_invoice_sent_again_in_doubt(story: Story) -> None:
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    for at_ms in (NOON_MS, NOON_MS + MINUTE):
        story.take(number, "ann", "email", at_ms=at_ms)
    story.strike("email", at_ms=NOON_MS + SECOND)
    late = {"at_ms": NOON_MS + MINUTE}
    story.tell(number, "ann", "email", "in_doubt", "outcome_lost", **late)


def a_doubt_without_a_crash(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "in_doubt", "outcome_lost")


def a_doubt_after_a_clean_stop(story: Story) -> None:
    story.strike("sms", at_ms=NOON_MS + SECOND, what="stop")
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    late = {"at_ms": NOON_MS + MINUTE}
    story.tell(number, "ann", "sms", "in_doubt", "outcome_lost", **late)


def a_doubt_of_a_call_after_the_crash(story: Story) -> None:
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.strike("email", at_ms=NOON_MS + SECOND)
    late = NOON_MS + MINUTE
    story.tell(number, "ann", "email", "deferred", "unreachable", at_ms=late)
    story.tell(number, "ann", "email", "in_doubt", "outcome_lost", at_ms=late + MINUTE)


def a_crash_of_another_role(story: Story) -> None:
    story.strike("email", at_ms=NOON_MS + SECOND)
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    late = {"at_ms": NOON_MS + MINUTE}
    story.tell(number, "ann", "sms", "in_doubt", "outcome_lost", **late)


BAD: dict[Tell, str] = {
    an_order_in_doubt_that_goes_on_by_its_fallback: "L2 went on by sms, though nothing failed",
    a_batch_sent_again: "L3 accepted 2 times, told in doubt 0 times",
    an_unacknowledged_request_sent_twice: "L3 accepted 2 times, told in doubt 0 times",
    an_invoice_sent_again_in_doubt: "L3 accepted 2 times, though its type holds",
    a_doubt_without_a_crash: "L3 in doubt for outcome_lost",
    a_doubt_after_a_clean_stop: "L3 in doubt for outcome_lost",
    a_doubt_of_a_call_after_the_crash: "L3 in doubt for outcome_lost",
    a_crash_of_another_role: "L3 in doubt for outcome_lost",
}


@pytest.mark.parametrize("happens", BAD)
def test_a_second_message_or_a_doubt_without_a_crash_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
