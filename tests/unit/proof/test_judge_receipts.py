"""L1, L2, L7: a message is what was asked for, and its receipts say what became of it."""

import pytest

from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import MINUTE, NOON_MS, Story


def all_is_well(story: Story) -> None:
    story.deliver("ann", "order")
    story.deliver("bob", "code", at_ms=NOON_MS + MINUTE)
    story.blunder()


GOOD: list[Tell] = [all_is_well]


@pytest.mark.parametrize("happens", GOOD)
def test_receipts_of_what_was_asked_for_are_clean(happens: Tell) -> None:
    assert_clean(happens)


def a_receipt_for_somebody_elses_request(story: Story) -> None:
    number = story.ask("ann", "code")
    story.send(number, "bob", "sms")


def a_message_to_a_stranger(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.take(number, "ann", "sms", address="+1999")
    story.tell(number, "ann", "sms", "sent")


def a_message_with_anothers_content(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.take(number, "ann", "sms", body_hash=1)
    story.tell(number, "ann", "sms", "sent")


def a_message_that_no_receipt_speaks_of(story: Story) -> None:
    story.deliver("ann", "code")
    story.take(99, "ann", "sms", at_ms=NOON_MS + MINUTE)


def a_push_told_of_another_device(story: Story) -> None:
    number = story.ask("ann", "order", channels=["push"])
    story.tell(number, "ann", "push", "queued")
    story.take(number, "ann", "push")
    story.tell(number, "ann", "push", "sent", device_id="another")


def sent_for_a_reason(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.take(number, "ann", "sms")
    story.tell(number, "ann", "sms", "sent", "rate_limited")


def queued_and_told_to_be_the_end(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued", is_final=True)
    story.take(number, "ann", "sms")
    story.tell(number, "ann", "sms", "sent")


def a_fact_told_twice(story: Story) -> None:
    number = story.deliver("ann", "code")
    receipt = next(each for each in story.evidence.receipts if each.metadata.intent == number)
    story.evidence.receipts.append(receipt)


def one_id_for_two(story: Story) -> None:
    number = story.ask("ann", "code")
    story.send(number, "ann", "sms")
    other = story.ask("ann", "code", at_ms=NOON_MS + MINUTE)
    story.accepted[other, "ann sms"] = story.accepted[number, "ann sms"]
    story.tell(other, "ann", "sms", "queued")


BAD: dict[Tell, str] = {
    a_receipt_for_somebody_elses_request: "L2 bob was not meant",
    a_message_to_a_stranger: "L2 sent to +1999, never theirs",
    a_message_with_anothers_content: "L2 another content",
    a_message_that_no_receipt_speaks_of: "L2 twilio took a message that no receipt speaks of",
    a_push_told_of_another_device: "L1 said to be sent, and no provider has it",
    sent_for_a_reason: "L2 sms, round 0 ended sent rate_limited, expected",
    queued_and_told_to_be_the_end: "L1 sms, round 0 ended 2 times",
    a_fact_told_twice: "L7 receipt r",
    one_id_for_two: "L7 receipts of one delivery are about several things",
}


@pytest.mark.parametrize("happens", BAD)
def test_a_message_or_receipt_of_something_else_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
