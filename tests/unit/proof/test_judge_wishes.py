"""L2, L4, L6: what people, operators and the law do not want is not sent."""

import msgspec
import pytest

from proof.checker.evidence import Inline
from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import MINUTE, NOON_MS, RULES, SECOND, Story


def an_opt_out_known_before(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - 2 * MINUTE)
    number = story.ask("ann", "order")
    story.tell(number, "ann", "email", "suppressed", "opted_out_channel")
    story.send(number, "ann", "push")


def an_opt_out_that_races(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS + 10)
    story.deliver("ann", "order")


def an_opt_out_that_wins_the_race(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS + 10)
    number = story.ask("ann", "order")
    story.tell(number, "ann", "email", "queued")
    story.tell(number, "ann", "email", "suppressed", "opted_out_channel")
    story.send(number, "ann", "push")


def a_producers_sync_after_a_persons_opt_out(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - 3 * MINUTE)
    story.wish("ann", "email", enabled=True, at_ms=NOON_MS - 2 * MINUTE, source="producer")
    number = story.ask("ann", "order")
    story.tell(number, "ann", "email", "suppressed", "opted_out_channel")
    story.send(number, "ann", "push")


def a_phone_that_was_sold(story: Story) -> None:
    sold = NOON_MS - 2 * MINUTE
    story.say("bob", "device_registered", at_ms=sold, device_id="new", token="token-ann")
    number = story.ask("ann", "order", channels=["push"])
    story.tell(number, "ann", "push", "rejected", "no_address")


def a_phone_that_two_registered_at_one_instant(story: Story) -> None:
    for user, device in (("ann", "phone"), ("bob", "new")):
        at_ms = NOON_MS - 2 * MINUTE
        story.say(user, "device_registered", at_ms=at_ms, device_id=device, token="token-ann")
    story.deliver("ann", "order")


def _named_by_a_producer_after_their_own_word(story: Story, *, is_deleted: bool) -> None:
    own = NOON_MS - 5 * MINUTE
    story.say("ann", "recipient_updated", at_ms=own, email="own@example.org")
    if is_deleted:
        story.say("ann", "recipient_deleted", at_ms=own)
    story.introduce("ann", at_ms=NOON_MS - 4 * MINUTE)
    story.deliver("ann", "order")


def an_address_of_before_a_deletion(story: Story) -> None:
    _named_by_a_producer_after_their_own_word(story, is_deleted=True)


def an_address_of_their_own_that_is_ignored(story: Story) -> None:
    _named_by_a_producer_after_their_own_word(story, is_deleted=False)


def queued_before_an_opt_out_was_read(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - SECOND)
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.tell(number, "ann", "email", "suppressed", "opted_out_channel")


def queued_while_an_opt_out_was_on_its_way_from_a_wrong_partition(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - 10 * SECOND)
    changes = story.evidence.changes
    changes[-1] = msgspec.structs.replace(changes[-1], is_misplaced=True)
    story.evidence.circumstances.lag_ms = MINUTE
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.tell(number, "ann", "email", "suppressed", "opted_out_channel")


def queued_after_a_broker_that_did_not_answer(story: Story) -> None:
    story.strike("broker", at_ms=NOON_MS - 11 * SECOND, what="suspend")
    story.evidence.circumstances.lag_ms = MINUTE
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - 10 * SECOND)
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.tell(number, "ann", "email", "suppressed", "opted_out_channel")


def gone_by_a_deletion_just_before(story: Story) -> None:
    story.say("ann", "recipient_deleted", at_ms=NOON_MS - 5 * SECOND)
    story.introduce("ann", at_ms=NOON_MS - 4 * SECOND)
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.tell(number, "ann", "email", "suppressed", "address_gone")


def back_in_the_instant_of_their_deletion(story: Story) -> None:
    story.say("ann", "recipient_deleted", at_ms=NOON_MS - 5 * MINUTE)
    story.introduce("ann", at_ms=NOON_MS - 5 * MINUTE)
    story.deliver("ann", "order")


def a_producers_word_of_before_a_deletion(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - 6 * MINUTE, source="import")
    story.say("ann", "recipient_deleted", at_ms=NOON_MS - 5 * MINUTE)
    story.introduce("ann", at_ms=NOON_MS - 4 * MINUTE)
    story.deliver("ann", "order")


def a_code_to_the_number_that_somebody_signs_up_with_after_their_deletion(story: Story) -> None:
    story.say("ann", "recipient_deleted", at_ms=NOON_MS - 5 * MINUTE)
    story.deliver("ann", "code", recipient=Inline(phone="+1ann"))


def a_bounce_that_is_told_after_they_have_another_address(story: Story) -> None:
    story.introduce("ann", at_ms=NOON_MS - 8 * MINUTE, email="old@example.org")
    story.introduce("ann", at_ms=NOON_MS - 6 * MINUTE)
    bounced, came = NOON_MS - 7 * MINUTE, NOON_MS - 5 * MINUTE
    story.say("ann", "address_suppressed", channel="email", at_ms=bounced, came_ms=came)
    story.deliver("ann", "order")


def a_deletion_that_is_of_before_what_came_before_it(story: Story) -> None:
    story.introduce("ann", at_ms=NOON_MS - 5 * MINUTE)
    story.say("ann", "recipient_deleted", at_ms=NOON_MS - 6 * MINUTE, came_ms=NOON_MS - 4 * MINUTE)
    story.deliver("ann", "order")


def a_key_that_is_used_again_after_its_cancellation(story: Story) -> None:
    story.call_off("ann", "k", at_ms=NOON_MS - RULES.dedup_ms)
    story.deliver("ann", "code", idempotency_key="k")


GOOD: list[Tell] = [
    a_bounce_that_is_told_after_they_have_another_address,
    a_code_to_the_number_that_somebody_signs_up_with_after_their_deletion,
    a_key_that_is_used_again_after_its_cancellation,
    a_deletion_that_is_of_before_what_came_before_it,
    queued_while_an_opt_out_was_on_its_way_from_a_wrong_partition,
    queued_after_a_broker_that_did_not_answer,
    back_in_the_instant_of_their_deletion,
    a_producers_word_of_before_a_deletion,
    queued_before_an_opt_out_was_read,
    gone_by_a_deletion_just_before,
    an_address_of_before_a_deletion,
    an_opt_out_known_before,
    an_opt_out_that_races,
    an_opt_out_that_wins_the_race,
    a_producers_sync_after_a_persons_opt_out,
    a_phone_that_was_sold,
    a_phone_that_two_registered_at_one_instant,
]


@pytest.mark.parametrize("happens", GOOD)
def test_a_wish_that_is_obeyed_or_came_too_late_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def preferences_that_are_ignored(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - 2 * MINUTE)
    story.deliver("ann", "order")


def an_opt_out_that_is_never_heard_of(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS + SECOND)
    number = story.ask("ann", "order")
    story.send(number, "ann", "push")
    story.tell(number, "ann", "email", "queued")
    story.take(number, "ann", "email", at_ms=NOON_MS + 5 * SECOND)
    story.tell(number, "ann", "email", "sent", at_ms=NOON_MS + 5 * SECOND)


def a_cancelled_request_that_is_sent(story: Story) -> None:
    story.call_off("ann", "k", at_ms=NOON_MS + SECOND)
    number = story.ask("ann", "code", idempotency_key="k")
    story.tell(number, "ann", "sms", "queued")
    story.take(number, "ann", "sms", at_ms=NOON_MS + MINUTE)
    story.tell(number, "ann", "sms", "sent", at_ms=NOON_MS + MINUTE)


def a_pause_that_nobody_keeps(story: Story) -> None:
    story.control("pause", "channel", "sms", at_ms=NOON_MS - MINUTE)
    story.control("resume", "channel", "sms", at_ms=NOON_MS + MINUTE)
    story.deliver("ann", "code")


def a_message_to_a_sold_phone(story: Story) -> None:
    sold = NOON_MS - 2 * MINUTE
    story.say("bob", "device_registered", at_ms=sold, device_id="new", token="token-ann")
    story.deliver("ann", "order")


def a_suppressed_address(story: Story) -> None:
    story.say("ann", "address_suppressed", channel="sms", at_ms=NOON_MS - 2 * MINUTE)
    story.deliver("ann", "code")


def a_message_in_quiet_hours(story: Story) -> None:
    story.wish("ann", "email", quiet_hours="11:00-13:00", at_ms=NOON_MS - 2 * MINUTE)
    story.deliver("ann", "order")


def a_message_in_quiet_hours_of_another_zone(story: Story) -> None:
    story.introduce("eva", zone="Asia/Kolkata")  # where it is half past five in the afternoon
    story.wish("eva", "email", quiet_hours="17:00-18:00", at_ms=NOON_MS - 2 * MINUTE)
    story.deliver("eva", "order")


def a_message_outside_the_legal_window(story: Story) -> None:
    story.introduce("eva", zone="Pacific/Auckland")  # where it is one o'clock in the morning
    story.wish("eva", "sms", enabled=True, at_ms=NOON_MS - 2 * MINUTE)
    story.deliver("eva", "offer")


def gone_by_a_deletion_of_long_ago(story: Story) -> None:
    story.say("ann", "recipient_deleted", at_ms=NOON_MS - 5 * MINUTE)
    story.introduce("ann", at_ms=NOON_MS - 4 * MINUTE)
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.tell(number, "ann", "email", "suppressed", "address_gone")


def queued_for_somebody_who_had_opted_out(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - 10 * SECOND)
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.tell(number, "ann", "email", "suppressed", "opted_out_channel")


def a_word_of_their_own_of_before_a_deletion(story: Story) -> None:
    story.wish("ann", "email", enabled=False, at_ms=NOON_MS - 6 * MINUTE)
    story.say("ann", "recipient_deleted", at_ms=NOON_MS - 5 * MINUTE)
    story.introduce("ann", at_ms=NOON_MS - 4 * MINUTE)
    story.deliver("ann", "order")


def a_message_to_somebody_who_was_deleted(story: Story) -> None:
    story.say("ann", "recipient_deleted", at_ms=NOON_MS - 4 * MINUTE, came_ms=NOON_MS - 3 * MINUTE)
    story.deliver("ann", "order")


def a_code_to_a_number_of_its_own_that_was_asked_for_before_a_deletion(story: Story) -> None:
    story.say("ann", "recipient_deleted", at_ms=NOON_MS + SECOND)
    number = story.ask("ann", "code", recipient=Inline(phone="+1ann"))
    story.tell(number, "ann", "sms", "queued")
    story.take(number, "ann", "sms", at_ms=NOON_MS + MINUTE)
    story.tell(number, "ann", "sms", "sent", at_ms=NOON_MS + MINUTE)


def a_bounce_of_an_address_that_was_said_again(story: Story) -> None:
    story.introduce("ann", at_ms=NOON_MS - 6 * MINUTE)
    bounced, came = NOON_MS - 7 * MINUTE, NOON_MS - 5 * MINUTE
    story.say("ann", "address_suppressed", channel="email", at_ms=bounced, came_ms=came)
    story.deliver("ann", "order")


BAD: dict[Tell, str] = {
    a_bounce_of_an_address_that_was_said_again: "email was suppressed",
    a_code_to_a_number_of_its_own_that_was_asked_for_before_a_deletion: "had been deleted",
    a_message_to_somebody_who_was_deleted: "had been deleted",
    a_word_of_their_own_of_before_a_deletion: "L4 reached at",
    queued_for_somebody_who_had_opted_out: "L4 queued, though email.enabled was known to be off",
    gone_by_a_deletion_of_long_ago: "L1 email, round 0 ended suppressed address_gone, expected",
    preferences_that_are_ignored: "L2 email, round 0 ended sent",
    an_opt_out_that_is_never_heard_of: "L4 reached at",
    a_cancelled_request_that_is_sent: "was called off at",
    a_pause_that_nobody_keeps: "channel:sms was paused",
    a_message_to_a_sold_phone: "token-ann had been bob's",
    an_address_of_their_own_that_is_ignored: "ann@example.org was theirs no more",
    a_suppressed_address: "sms was suppressed",
    a_message_in_quiet_hours: "L6 reached at",
    a_message_in_quiet_hours_of_another_zone: "L6 reached at",
    a_message_outside_the_legal_window: "L6 reached at",
}


@pytest.mark.parametrize("happens", BAD)
def test_a_wish_that_is_ignored_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
