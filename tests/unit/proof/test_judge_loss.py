"""E1, E2, L1: whatever was asked for comes to one end, and nothing is forgotten."""

import pytest

from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import DAY_SECONDS, MINUTE, NOON_MS, RULES, SECOND, Story


def quiet_hours_that_last(story: Story) -> None:
    story.wish("ann", "email", quiet_hours="11:00-23:00", at_ms=NOON_MS - 2 * MINUTE)
    number = story.ask("ann", "order")
    story.tell(number, "ann", "email", "deferred", "quiet_hours")
    story.send(number, "ann", "push")


def a_digest_put_off_until_tomorrow(story: Story) -> None:
    story.deliver("ann", "digest", ttl_seconds=2 * DAY_SECONDS)
    number = story.ask("ann", "digest", ttl_seconds=2 * DAY_SECONDS, at_ms=NOON_MS + MINUTE)
    story.tell(number, "ann", "email", "deferred", "daily_limit", at_ms=NOON_MS + MINUTE)


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


def a_request_that_came_unacknowledged(story: Story) -> None:
    story.deliver("ann", "code")
    story.leave_unacknowledged()


GOOD: list[Tell] = [
    quiet_hours_that_last,
    a_digest_put_off_until_tomorrow,
    a_broadcast_to_the_audience,
    a_broadcast_called_off_while_it_goes_out,
    a_broadcast_called_off_after_its_worker_was_away,
    a_request_that_came_unacknowledged,
]


@pytest.mark.parametrize("happens", GOOD)
def test_what_comes_to_one_end_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def a_request_refused_twice(story: Story) -> None:
    number = story.ask("ann", "code")
    for _ in range(2):
        story.refuse(number, "ann", "rejected", "idempotency_conflict")


def a_delivery_that_ends_twice(story: Story) -> None:
    number = story.ask("ann", "code")
    for reason in ("cancelled", "ttl"):
        story.tell(number, "ann", "sms", "cancelled", reason)


def sent_and_failed(story: Story) -> None:
    number = story.deliver("ann", "code")
    story.tell(number, "ann", "sms", "failed", "rejected_by_provider")


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


def a_member_who_is_forgotten(story: Story) -> None:
    story.say("ann", "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
    story.announce("news", audience="readers")


def a_member_forgotten_long_before_it_was_called_off(story: Story) -> None:
    _a_member_left_out(story, called_off_ms=NOON_MS + MINUTE)


def a_device_that_is_forgotten(story: Story) -> None:
    story.say("ann", "device_registered", device_id="tablet", token="t", at_ms=NOON_MS - 2 * MINUTE)
    story.send(story.ask("ann", "order", channels=["push"]), "ann", "push")


def a_broadcast_lost_long_after_another_with_its_key(story: Story) -> None:
    story.say("ann", "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
    again_ms = NOON_MS + RULES.dedup_ms
    story.evidence.circumstances.ended_ms = again_ms + MINUTE
    for at_ms in (NOON_MS, again_ms):
        number = story.announce(
            "news", at_ms=at_ms, audience="readers", idempotency_key="k", channels=["email"]
        )
        if at_ms == NOON_MS:
            story.send(number, "ann", "email")


def a_request_that_came_unacknowledged_and_was_lost(story: Story) -> None:
    a_delivery_without_an_end(story)
    story.leave_unacknowledged()


BAD: dict[Tell, str] = {
    a_request_refused_twice: "E1 1 requests are not 0 decided + 2 rejected + 0 duplicate [intent 0, ",
    a_delivery_that_ends_twice: "E2 1 deliveries are not 2 settled + 0 deferred [delivery ",
    sent_and_failed: "L1 sms, round 0 ended 2 times",
    a_request_that_nobody_answers: "L1 nothing was ever said of a request",
    a_channel_that_nobody_speaks_of: "L1 nothing was ever said of its push",
    a_delivery_without_an_end: "L1 sms, round 0 never ended",
    a_delivery_dropped_when_throttled: "L1 sms, round 0 never ended",
    a_digest_lost_once_it_was_queued: "L1 email, round 0 never ended, told: ['queued']",
    quiet_hours_that_outlast_what_waits_for_their_end: "L1 email, round 0 never ended",
    a_member_who_is_forgotten: "L1 ann was forgotten by email",
    a_member_forgotten_long_before_it_was_called_off: "L1 bob was forgotten by email",
    a_device_that_is_forgotten: "L1 tablet was forgotten",
    a_broadcast_lost_long_after_another_with_its_key: "L1 ann was forgotten by email [intent 1",
    a_request_that_came_unacknowledged_and_was_lost: "L1 sms, round 0 came, and ended 0 times",
}


@pytest.mark.parametrize("happens", BAD)
def test_what_is_lost_or_ends_twice_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
