"""L1: a delivery that is not sent ends for a reason that there was."""

import pytest

from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import MINUTE, NOON_MS, SECOND, Story


def a_fallback(story: Story) -> None:
    story.storm("sms", "reject")
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "failed", "rejected_by_provider", at_ms=NOON_MS + MINUTE)
    story.send(number, "ann", "email", at_ms=NOON_MS + MINUTE)


def a_code_that_would_have_expired_in_line(story: Story) -> None:
    a_code_that_expired_before_its_time(story)
    for place in range(2):
        story.deliver("bob", "code", at_ms=NOON_MS + 47 * SECOND + place * 700)


def a_code_that_expired_while_its_worker_was_away(story: Story) -> None:
    story.strike("sms", at_ms=NOON_MS + SECOND)
    a_code_that_expired_while_nothing_hindered_it(story)


def a_code_that_expired_while_its_channel_was_paused(story: Story) -> None:
    story.control("pause", "channel", "sms", at_ms=NOON_MS + 20 * SECOND)
    a_code_that_expired_while_nothing_hindered_it(story)


def a_breaker_still_open_after_its_storm(story: Story) -> None:
    story.storm("sms", "refuse", until_ms=NOON_MS - 3 * SECOND)
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "expired", "breaker_open")


GOOD: list[Tell] = [
    a_fallback,
    a_code_that_would_have_expired_in_line,
    a_code_that_expired_while_its_worker_was_away,
    a_code_that_expired_while_its_channel_was_paused,
    a_breaker_still_open_after_its_storm,
]


@pytest.mark.parametrize("happens", GOOD)
def test_an_end_for_a_good_reason_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def a_code_that_expired_before_its_time(story: Story) -> None:
    number = story.ask("ann", "code", ttl_seconds=50)
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "expired", "ttl", at_ms=NOON_MS + 47 * SECOND)


def a_code_that_expired_while_nothing_hindered_it(story: Story) -> None:
    number = story.ask("ann", "code", ttl_seconds=90)
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "expired", "ttl", at_ms=NOON_MS + 90 * SECOND)


def a_code_that_expired_while_others_were_paused(story: Story) -> None:
    for scope, name in (("channel", "push"), ("type", "order"), ("tenant", "shop")):
        story.control("pause", scope, name, at_ms=NOON_MS + 20 * SECOND)
    a_code_that_expired_while_nothing_hindered_it(story)


def a_code_that_expired_long_after_a_blow(story: Story) -> None:
    story.strike("sms", at_ms=NOON_MS - 40 * SECOND)
    story.evidence.circumstances.lag_ms = 2 * MINUTE
    a_code_that_expired_while_nothing_hindered_it(story)


def a_breaker_open_long_after_its_storm(story: Story) -> None:
    story.storm("sms", "refuse", until_ms=NOON_MS - MINUTE)
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "queued")
    story.tell(number, "ann", "sms", "expired", "breaker_open")


def an_opt_out_that_nobody_made(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "suppressed", "opted_out_channel")


def a_failure_without_a_cause(story: Story) -> None:
    number = story.ask("ann", "code")
    story.tell(number, "ann", "sms", "failed", "stage_error")
    story.send(number, "ann", "email")


BAD: dict[Tell, str] = {
    a_code_that_expired_before_its_time: "L1 expired 3000 ms before its time",
    a_code_that_expired_while_nothing_hindered_it: "L1 expired 90000 ms after it was queued",
    a_code_that_expired_while_others_were_paused: "L1 expired 90000 ms after it was queued",
    a_code_that_expired_long_after_a_blow: "L1 expired 90000 ms after it was queued",
    a_breaker_open_long_after_its_storm: "L1 sms, round 0 ended expired breaker_open, expected",
    an_opt_out_that_nobody_made: "L1 sms, round 0 ended suppressed opted_out_channel, expected",
    a_failure_without_a_cause: "L1 sms, round 0 ended failed stage_error, expected",
}


@pytest.mark.parametrize("happens", BAD)
def test_an_end_for_no_reason_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
