"""The checker on evidence made by hand: a good story is clean, a spoilt one is told of by name."""

from collections.abc import Callable

import pytest

from proof.checker.contents import hash_of
from proof.checker.evidence import Data, Unsure
from proof.checker.judge import judge
from tests.unit.proof.story import DAY_SECONDS, MINUTE, NOON_MS, RULES, SECOND, Story

Tell = Callable[[Story], None]


def told(story: Story) -> list[str]:
    return [str(each) for each in judge(story.evidence).violations]


def opening() -> Story:
    story = Story()
    for user in ("ann", "bob"):
        story.introduce(user)
    return story


# What is allowed.


def all_is_well(story: Story) -> None:
    story.deliver("ann", "order")
    story.deliver("bob", "code", at_ms=NOON_MS + MINUTE)
    story.blunder()


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


def a_repeat(story: Story) -> None:
    first = story.deliver("ann", "code", idempotency_key="k")
    again = story.ask("ann", "code", idempotency_key="k", data=Data(str(first)))
    story.refuse(again, "ann", "duplicate")


def a_repeat_after_the_window(story: Story) -> None:
    story.deliver("ann", "code", idempotency_key="k", at_ms=NOON_MS - RULES.dedup_ms)
    story.evidence.changes[0].at_ms = story.evidence.changes[1].at_ms = 0
    story.deliver("ann", "code", idempotency_key="k")
    _are_one_notification(story)


def _are_one_notification(story: Story) -> None:
    """As follows from the key."""
    for receipt in story.evidence.receipts:
        receipt.notification_id = "n-of-k"


def a_contradiction(story: Story) -> None:
    story.deliver("ann", "code", idempotency_key="k")
    other = story.ask("ann", "code", idempotency_key="k")
    story.refuse(other, "ann", "rejected", "idempotency_conflict")


def a_second_call_after_a_crash(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.take(number, "ann", "sms")
    story.strike("sms", at_ms=NOON_MS + SECOND)
    lost = {"at_ms": NOON_MS + 2 * SECOND, "is_final": False}
    story.tell(number, "ann", "sms", "in_doubt", "outcome_lost", **lost)
    story.take(number, "ann", "sms", at_ms=NOON_MS + 32 * SECOND)
    story.tell(number, "ann", "sms", "sent", at_ms=NOON_MS + 33 * SECOND)


def a_fallback(story: Story) -> None:
    story.storm("sms", "refuse")
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "failed", "attempts_exhausted", at_ms=NOON_MS + MINUTE)
    story.send(number, "ann", "email", at_ms=NOON_MS + MINUTE)


def quiet_hours_that_last(story: Story) -> None:
    story.wish("ann", "email", quiet_hours="11:00-23:00", at_ms=NOON_MS - 2 * MINUTE)
    number = story.ask("ann", "order")
    story.tell(number, "ann", "email", "deferred", "quiet_hours")
    story.send(number, "ann", "push")


def a_digest_put_off_until_tomorrow(story: Story) -> None:
    story.deliver("ann", "digest", ttl_seconds=2 * DAY_SECONDS)
    number = story.ask("ann", "digest", ttl_seconds=2 * DAY_SECONDS, at_ms=NOON_MS + MINUTE)
    story.tell(number, "ann", "email", "deferred", "daily_limit", at_ms=NOON_MS + MINUTE)


def a_code_that_would_have_expired_in_line(story: Story) -> None:
    a_code_that_expired_before_its_time(story)
    for place in range(2):
        story.deliver("bob", "code", at_ms=NOON_MS + 47 * SECOND + place * 700)


def a_code_that_expired_while_its_worker_was_away(story: Story) -> None:
    story.strike("sms", at_ms=NOON_MS + SECOND)
    a_code_that_expired_while_nothing_hindered_it(story)


def _a_fallback_in_doubt(story: Story, kind: str, channel: str, fallback: str) -> None:
    number = story.ask("ann", kind, channels=[channel])
    story.tell(number, "ann", channel, "queued")
    story.take(number, "ann", channel)
    story.strike(channel, at_ms=NOON_MS + SECOND)
    story.tell(number, "ann", channel, "in_doubt", "outcome_lost", at_ms=NOON_MS + MINUTE)
    story.send(number, "ann", fallback, at_ms=NOON_MS + MINUTE)


def a_code_in_doubt_that_goes_on_by_its_fallback(story: Story) -> None:
    _a_fallback_in_doubt(story, "code", "sms", "email")


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


def a_broadcast_to_the_audience(story: Story) -> None:
    story.say("ann", "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
    number = story.announce("news", audience="readers")
    for channel in ("email", "in_app"):
        story.send(number, "ann", channel)


def _a_member_left_out(story: Story, *, called_off_ms: int) -> None:
    """Of a broadcast that ann hears of, and bob does not."""
    for user in ("ann", "bob"):
        story.say(user, "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
    number = story.announce("news", audience="readers", idempotency_key="k")
    for channel in ("email", "in_app"):
        story.send(number, "ann", channel)
    story.call_off("", "k", at_ms=called_off_ms)


def a_broadcast_called_off_while_it_goes_out(story: Story) -> None:
    _a_member_left_out(story, called_off_ms=NOON_MS + SECOND)


def a_broadcast_called_off_after_its_worker_was_away(story: Story) -> None:
    story.strike("decide", at_ms=NOON_MS + SECOND)
    _a_member_left_out(story, called_off_ms=NOON_MS + MINUTE)


def _leave_unacknowledged(story: Story) -> None:
    story.evidence.unsure = [
        Unsure(each.number, each.said.user_id) for each in story.evidence.requests
    ]
    story.evidence.requests.clear()


def a_request_that_came_unacknowledged(story: Story) -> None:
    story.deliver("ann", "code")
    _leave_unacknowledged(story)


def a_doubt_told_a_while_after_the_crash(story: Story) -> None:
    number = story.ask("ann", "order", channels=["email"])
    story.tell(number, "ann", "email", "queued")
    story.strike("email", at_ms=NOON_MS + SECOND)
    late = {"at_ms": NOON_MS + MINUTE}
    story.tell(number, "ann", "email", "in_doubt", "outcome_lost", **late)


def _fail_to_render(story: Story, kind: str, channel: str) -> int:
    number = story.ask("ann", kind, channels=[channel], data=Data())
    story.tell(number, "ann", channel, "queued")
    story.tell(number, "ann", channel, "failed", "template_error")
    return number


def news_that_nobody_can_render(story: Story) -> None:
    number = _fail_to_render(story, "news", "email")
    story.bury(number, "ann", "email", "template_error")


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


def _announced_twice(story: Story, *, partition: int) -> None:
    """To ann by the first, to bob by the second."""
    for user in ("ann", "bob"):
        story.say(user, "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
    first = story.announce("news", audience="readers", idempotency_key="k")
    second = story.announce(
        "news", partition=partition, audience="readers", idempotency_key="k", data=Data(str(first))
    )
    for number, user in ((first, "ann"), (second, "bob")):
        for channel in ("email", "in_app"):
            story.tell(number, user, channel, "queued")
            if channel == "email":
                story.take(number, user, channel, body_hash=hash_of(channel, str(first)))
            story.tell(number, user, channel, "sent")


def a_broadcast_told_again_by_another_partition(story: Story) -> None:
    _announced_twice(story, partition=1)


def a_breaker_still_open_after_its_storm(story: Story) -> None:
    story.storm("sms", "refuse", until_ms=NOON_MS - 3 * SECOND)
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "expired", "breaker_open")


GOOD: list[Tell] = [
    all_is_well, an_opt_out_known_before, an_opt_out_that_races, an_opt_out_that_wins_the_race,
    a_producers_sync_after_a_persons_opt_out, a_repeat, a_repeat_after_the_window, a_contradiction,
    a_second_call_after_a_crash, a_fallback, quiet_hours_that_last, a_cap,
    a_digest_put_off_until_tomorrow, a_code_that_would_have_expired_in_line,
    a_broadcast_called_off_while_it_goes_out, a_broadcast_called_off_after_its_worker_was_away,
    a_request_that_came_unacknowledged, a_doubt_told_a_while_after_the_crash,
    news_that_nobody_can_render,
    a_code_that_expired_while_its_worker_was_away, a_code_in_doubt_that_goes_on_by_its_fallback,
    a_broadcast_to_the_audience, a_phone_that_was_sold,
    a_phone_that_two_registered_at_one_instant,
    a_cap_that_was_reached_while_a_batch_was_under_way,
    a_broadcast_told_again_by_another_partition, a_breaker_still_open_after_its_storm,
]  # fmt: skip


@pytest.mark.parametrize("happens", GOOD)
def test_what_keeps_every_promise_is_clean(happens: Tell) -> None:
    story = opening()

    happens(story)

    assert told(story) == []


# What is not.


def a_request_refused_twice(story: Story) -> None:
    number = story.ask("ann", "code")
    for _ in range(2):
        story.refuse(number, "ann", "rejected", "idempotency_conflict")


def a_delivery_that_ends_twice(story: Story) -> None:
    number = story.ask("ann", "code")
    for reason in ("cancelled", "ttl"):
        story.tell(number, "ann", "sms", "cancelled", reason)


def a_request_that_nobody_answers(story: Story) -> None:
    story.ask("ann", "order")


def a_channel_that_nobody_speaks_of(story: Story) -> None:
    story.send(story.ask("ann", "order"), "ann", "email")


def a_delivery_without_an_end(story: Story) -> None:
    story.tell(story.ask("ann", "code"), "ann", "sms", "queued")


def a_delivery_dropped_when_throttled(story: Story) -> None:
    story.storm("sms", "throttle")
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "deferred", "throttled")


def a_digest_lost_once_it_was_queued(story: Story) -> None:
    story.tell(story.ask("ann", "digest"), "ann", "email", "queued")


def quiet_hours_that_outlast_what_waits_for_their_end(story: Story) -> None:
    story.wish("ann", "email", quiet_hours="11:00-23:00", at_ms=NOON_MS - 2 * MINUTE)
    number = story.ask("ann", "order", ttl_seconds=60)
    story.tell(number, "ann", "email", "deferred", "quiet_hours")
    story.send(number, "ann", "push")


def a_code_that_expired_before_its_time(story: Story) -> None:
    number = story.ask("ann", "code", ttl_seconds=50)
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "expired", "ttl", at_ms=NOON_MS + 47 * SECOND)


def a_code_that_expired_while_nothing_hindered_it(story: Story) -> None:
    number = story.ask("ann", "code", ttl_seconds=90)
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "expired", "ttl", at_ms=NOON_MS + 90 * SECOND)


def an_order_in_doubt_that_goes_on_by_its_fallback(story: Story) -> None:
    _a_fallback_in_doubt(story, "order", "email", "sms")


def an_opt_out_that_nobody_made(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "suppressed", "opted_out_channel")


def a_failure_without_a_cause(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "failed", "stage_error")
    story.send(number, "ann", "email")


def a_duplicate_of_nothing(story: Story) -> None:
    story.refuse(story.ask("ann", "code", idempotency_key="k"), "ann", "duplicate")


def a_contradiction_told_as_a_duplicate(story: Story) -> None:
    story.deliver("ann", "code", idempotency_key="k")
    story.refuse(story.ask("ann", "code", idempotency_key="k"), "ann", "duplicate")


def a_member_who_is_forgotten(story: Story) -> None:
    story.say("ann", "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
    story.announce("news", audience="readers")


def a_member_forgotten_long_before_it_was_called_off(story: Story) -> None:
    _a_member_left_out(story, called_off_ms=NOON_MS + MINUTE)


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


def a_key_decided_twice(story: Story) -> None:
    for _ in range(2):
        story.deliver("ann", "news", idempotency_key="k")


def a_key_decided_twice_just_inside_the_window(story: Story) -> None:
    story.evidence.changes[0].at_ms = story.evidence.changes[1].at_ms = 0
    story.deliver("ann", "code", idempotency_key="k", at_ms=NOON_MS - RULES.dedup_ms + 1)
    story.deliver("ann", "code", idempotency_key="k")


def two_keys_of_one_notification(story: Story) -> None:
    story.evidence.changes[0].at_ms = story.evidence.changes[1].at_ms = 0
    story.deliver("ann", "code", idempotency_key="k", at_ms=NOON_MS - RULES.dedup_ms)
    story.deliver("ann", "code", idempotency_key="l")
    _are_one_notification(story)


def a_broadcast_expanded_twice(story: Story) -> None:
    _announced_twice(story, partition=0)


def a_breaker_open_long_after_its_storm(story: Story) -> None:
    story.storm("sms", "refuse", until_ms=NOON_MS - MINUTE)
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "expired", "breaker_open")


def a_batch_sent_again(story: Story) -> None:
    number = story.deliver("ann", "code")
    story.take(number, "ann", "sms", at_ms=NOON_MS + MINUTE)


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


def a_request_that_came_unacknowledged_and_was_lost(story: Story) -> None:
    a_delivery_without_an_end(story)
    _leave_unacknowledged(story)


def an_unacknowledged_request_sent_twice(story: Story) -> None:
    a_batch_sent_again(story)
    _leave_unacknowledged(story)


def a_crash_of_another_role(story: Story) -> None:
    story.strike("email", at_ms=NOON_MS + SECOND)
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    late = {"at_ms": NOON_MS + MINUTE}
    story.tell(number, "ann", "sms", "in_doubt", "outcome_lost", **late)


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


def a_cap_that_was_not_reached(story: Story) -> None:
    number = story.ask("ann", "news")
    story.tell(number, "ann", "email", "suppressed", "daily_limit")
    story.send(number, "ann", "in_app")


def a_rate_that_there_is_not(story: Story) -> None:
    number = story.ask("ann", "news", channels=["email"])
    story.tell(number, "ann", "email", "suppressed", "rate_limited")


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


def a_rate_that_was_not_reached(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "suppressed", "rate_limited")


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


def a_fact_told_twice(story: Story) -> None:
    number = story.deliver("ann", "code")
    receipt = next(each for each in story.evidence.receipts if each.metadata.intent == number)
    story.evidence.receipts.append(receipt)


def sent_and_failed(story: Story) -> None:
    number = story.deliver("ann", "code")
    story.tell(number, "ann", "sms", "failed", "rejected_by_provider")


def one_id_for_two(story: Story) -> None:
    number = story.ask("ann", "code")
    story.send(number, "ann", "sms")
    other = story.ask("ann", "code", at_ms=NOON_MS + MINUTE)
    story.accepted[other, "ann sms"] = story.accepted[number, "ann sms"]
    story.tell(other, "ann", "sms", "queued")


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
    a_request_refused_twice: "E1 1 requests are not 0 decided + 2 rejected + 0 duplicate [intent 0, ",
    a_delivery_that_ends_twice: "E2 1 deliveries are not 2 settled + 0 deferred [delivery ",
    a_request_that_nobody_answers: "L1 nothing was ever said of a request",
    a_channel_that_nobody_speaks_of: "L1 nothing was ever said of its push",
    a_delivery_without_an_end: "L1 sms, round 0 never ended",
    a_delivery_dropped_when_throttled: "L1 sms, round 0 never ended",
    a_digest_lost_once_it_was_queued: "L1 email, round 0 never ended, told: ['queued']",
    quiet_hours_that_outlast_what_waits_for_their_end: "L1 email, round 0 never ended",
    a_code_that_expired_before_its_time: "L1 expired 3000 ms before its time",
    a_code_that_expired_while_nothing_hindered_it: "L1 expired 90000 ms after it was queued",
    an_order_in_doubt_that_goes_on_by_its_fallback: "L2 went on by sms, though nothing failed",
    an_opt_out_that_nobody_made: "L1 sms, round 0 ended suppressed opted_out_channel, expected",
    a_failure_without_a_cause: "L1 sms, round 0 ended failed stage_error, expected",
    a_duplicate_of_nothing: "L1 refused as",
    a_contradiction_told_as_a_duplicate: "L1 refused as",
    a_member_who_is_forgotten: "L1 ann was forgotten by email",
    a_member_forgotten_long_before_it_was_called_off: "L1 bob was forgotten by email",
    a_receipt_for_somebody_elses_request: "L2 bob was not meant",
    a_message_to_a_stranger: "L2 sent to +1999, never theirs",
    a_message_with_anothers_content: "L2 another content",
    a_message_that_no_receipt_speaks_of: "L2 twilio took a message that no receipt speaks of",
    preferences_that_are_ignored: "L2 email, round 0 ended sent",
    an_opt_out_that_is_never_heard_of: "L4 reached at",
    a_key_decided_twice: "L3 the same key was decided twice",
    a_key_decided_twice_just_inside_the_window: "L3 the same key was decided twice",
    two_keys_of_one_notification: "L7 one notification id for what is another request or user",
    a_broadcast_expanded_twice: "L3 the same key was decided twice",
    a_breaker_open_long_after_its_storm: "L1 sms, round 0 ended expired breaker_open, expected",
    a_batch_sent_again: "L3 accepted 2 times, told in doubt 0 times",
    an_invoice_sent_again_in_doubt: "L3 accepted 2 times, though its type holds",
    a_doubt_without_a_crash: "L3 in doubt for outcome_lost",
    a_doubt_after_a_clean_stop: "L3 in doubt for outcome_lost",
    a_doubt_of_a_call_after_the_crash: "L3 in doubt for outcome_lost",
    a_request_that_came_unacknowledged_and_was_lost: "L1 sms, round 0 came, and ended 0 times",
    an_unacknowledged_request_sent_twice: "L3 accepted 2 times, told in doubt 0 times",
    a_crash_of_another_role: "L3 in doubt for outcome_lost",
    a_cancelled_request_that_is_sent: "was called off at",
    a_pause_that_nobody_keeps: "channel:sms was paused",
    a_message_to_a_sold_phone: "token-ann had been bob's",
    a_suppressed_address: "sms was suppressed",
    three_messages_in_a_second: "L5 twilio: more than 2 within 600 ms",
    a_cap_that_is_passed: "L5 ann by email: more than 2 social on one day",
    a_cap_of_their_own_that_is_passed: "L5 ann by email: more than 1",
    a_rate_that_is_passed: "L5 ann by sms: more than 3 within",
    a_cap_that_was_not_reached: "L5 daily_limit after 0 of 2",
    a_rate_that_there_is_not: "L5 rate_limited, and there is no such limit",
    a_push_told_of_another_device: "L1 said to be sent, and no provider has it",
    sent_for_a_reason: "L2 sms, round 0 ended sent rate_limited, expected",
    queued_and_told_to_be_the_end: "L1 sms, round 0 ended 2 times",
    a_rate_that_was_not_reached: "L5 rate_limited after 0 of 3",
    a_message_in_quiet_hours: "L6 reached at",
    a_message_in_quiet_hours_of_another_zone: "L6 reached at",
    a_message_outside_the_legal_window: "L6 reached at",
    a_fact_told_twice: "L7 receipt r",
    sent_and_failed: "L1 sms, round 0 ended 2 times",
    one_id_for_two: "L7 receipts of one delivery are about several things",
    rubbish_that_vanishes: "L8 rubbish without a dead letter",
    rubbish_that_is_buried_twice: "L8 2 dead letters of one record",
    news_that_fail_without_a_dead_letter: "L8 failed template_error, and no dead letter holds it",
    news_buried_for_another_cause: "L8 failed template_error, and no dead letter holds it",
    a_dead_letter_of_what_was_sent: "L8 a dead letter for attempts_exhausted of what may go on",
    a_dead_letter_of_what_goes_on_by_its_fallback: "L8 a dead letter for template_error",
    no_rest: "L8 not all had come to rest when the time for it was over [delivery ",
}


@pytest.mark.parametrize("happens", BAD)
def test_a_broken_promise_is_told_of_by_name(happens: Tell) -> None:
    story = opening()

    happens(story)

    found = told(story)
    assert any(each.startswith(BAD[happens]) or BAD[happens] in each for each in found), found
