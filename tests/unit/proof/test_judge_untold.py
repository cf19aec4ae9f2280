"""Without receipts: what providers took is held against what was promised; silence excuses nothing."""

from typing import Any

import pytest

from proof.checker.contents import hash_of_places
from proof.checker.invariants.equations import SENT_AGAIN
from proof.checker.judge import judge
from proof.checker.verdict import Verdict
from tests.unit.proof.judging import Tell, opening
from tests.unit.proof.story import MINUTE, NOON_MS, SECOND, Story

HELLO, HALLO = hash_of_places(["Hello"]), hash_of_places(["Hallo"])


def announce(story: Story, **said: Any) -> int:
    """To ann and bob by e-mail, by a system that writes no receipts."""
    story.evidence.circumstances.has_receipts = False
    asked: dict[str, Any] = {
        "user_ids": ["ann", "bob"],
        "idempotency_key": "sale",
        "channels": ["email"],
    }
    return story.announce("order", **(asked | said))


def reach(story: Story, number: int, *users: str, **how: Any) -> None:
    for user in users:
        story.take(number, user, "email", **({"delivery_id": f"sale:{user}"} | how))


def everybody_once(story: Story) -> None:
    reach(story, announce(story), "ann", "bob")


def an_audience(story: Story) -> None:
    for user in ("ann", "bob"):
        story.say(user, "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
    reach(story, announce(story, user_ids=[], audience="readers"), "ann", "bob")


def who_opted_out_is_left_out(story: Story) -> None:
    story.wish("bob", "email", at_ms=NOON_MS - 2 * MINUTE, enabled=False)
    reach(story, announce(story), "ann")


def who_is_asleep_may_yet_be_reached(story: Story) -> None:
    story.wish("bob", "email", at_ms=NOON_MS - 2 * MINUTE, quiet_hours="11:00-14:00")
    reach(story, announce(story), "ann")


def who_was_reached_as_often_as_they_want_is_left_out(story: Story) -> None:
    story.wish("bob", "email", at_ms=NOON_MS - 2 * MINUTE, daily_limit=1)
    reach(story, announce(story), "ann", "bob")
    second = announce(story, idempotency_key="more")
    reach(story, second, "ann", delivery_id="more:ann")


def each_in_their_language(story: Story) -> None:
    story.say("bob", "recipient_updated", at_ms=NOON_MS - 2 * MINUTE, locale="de")
    number = announce(story, contents={"": HELLO, "de": HALLO})
    reach(story, number, "ann", body_hash=HELLO)
    reach(story, number, "bob", body_hash=HALLO)


def a_single_request(story: Story) -> None:
    story.evidence.circumstances.has_receipts = False
    number = story.ask("ann", "digest")
    reach(story, number, "ann", delivery_id=f"{number}:ann")


GOOD: list[Tell] = [
    everybody_once, an_audience, who_opted_out_is_left_out, who_is_asleep_may_yet_be_reached,
    who_was_reached_as_often_as_they_want_is_left_out, each_in_their_language, a_single_request,
]  # fmt: skip


def one_is_lost(story: Story) -> None:
    reach(story, announce(story), "ann")


def one_is_lost_by_a_kill_that_nobody_tells_of(story: Story) -> None:
    one_is_lost(story)
    story.strike("email", at_ms=NOON_MS + SECOND)


def one_is_lost_below_their_limit(story: Story) -> None:
    story.wish("bob", "email", at_ms=NOON_MS - 2 * MINUTE, daily_limit=1)
    one_is_lost(story)


def a_single_request_is_lost(story: Story) -> None:
    story.evidence.circumstances.has_receipts = False
    story.ask("ann", "digest")


def one_is_told_twice(story: Story) -> None:
    number = announce(story)
    reach(story, number, "ann", "bob", "bob")
    story.strike("email", at_ms=NOON_MS + SECOND)


def one_has_what_somebody_else_was_promised(story: Story) -> None:
    number = announce(story)
    reach(story, number, "ann", "bob", address="ann@example.org")


def one_has_another_content(story: Story) -> None:
    number = announce(story)
    reach(story, number, "ann", "bob", body_hash=17)


def one_has_another_language(story: Story) -> None:
    story.say("bob", "recipient_updated", at_ms=NOON_MS - 2 * MINUTE, locale="de")
    reach(story, announce(story, contents={"": HELLO, "de": HALLO}), "ann", "bob", body_hash=HELLO)


def a_stranger_has_it(story: Story) -> None:
    story.introduce("eve")
    reach(story, announce(story), "ann", "bob", "eve")


def nobody_asked_for_it(story: Story) -> None:
    number = announce(story)
    reach(story, number, "ann", "bob")
    reach(story, number, "ann", delivery_id="another:ann")


def one_is_woken(story: Story) -> None:
    story.wish("bob", "email", at_ms=NOON_MS - 2 * MINUTE, quiet_hours="11:00-14:00")
    everybody_once(story)


def one_had_opted_out(story: Story) -> None:
    story.wish("bob", "email", at_ms=NOON_MS - 2 * MINUTE, enabled=False)
    everybody_once(story)


def one_is_reached_more_often_than_they_want(story: Story) -> None:
    story.wish("bob", "email", at_ms=NOON_MS - 2 * MINUTE, daily_limit=1)
    everybody_once(story)
    second = announce(story, idempotency_key="more")
    for user in ("ann", "bob"):
        reach(story, second, user, delivery_id=f"more:{user}")


def it_was_worth_nothing_any_more(story: Story) -> None:
    reach(story, announce(story, ttl_seconds=0), "ann", "bob")


def it_never_came_to_rest(story: Story) -> None:
    everybody_once(story)
    story.evidence.circumstances.is_at_rest = False


BAD: list[Tell] = [
    one_is_lost, one_is_lost_by_a_kill_that_nobody_tells_of, one_is_lost_below_their_limit,
    a_single_request_is_lost, one_is_told_twice, one_has_what_somebody_else_was_promised,
    one_has_another_content, one_has_another_language, a_stranger_has_it, nobody_asked_for_it,
    one_is_woken, one_had_opted_out, one_is_reached_more_often_than_they_want,
    it_was_worth_nothing_any_more, it_never_came_to_rest,
]  # fmt: skip
PROMISES = ["L1"] * 4 + ["L3"] + ["L2"] * 5 + ["L6", "L4", "L5", "L2", "L8"]


def verdict_of(happens: Tell) -> Verdict:
    story = opening()
    happens(story)
    return judge(story.evidence)


@pytest.mark.parametrize("happens", GOOD)
def test_what_was_promised_and_taken_once_is_clean(happens: Tell) -> None:
    assert verdict_of(happens).violations == []


@pytest.mark.parametrize(("happens", "promise"), [*zip(BAD, PROMISES, strict=True)])
def test_what_was_broken_is_told_by_its_name(happens: Tell, promise: str) -> None:
    assert promise in verdict_of(happens).broken()


def test_who_was_lost_and_who_was_told_again_are_counted() -> None:
    def happens(story: Story) -> None:
        reach(story, announce(story), "ann", "ann", "ann")

    verdict = verdict_of(happens)

    assert verdict.broken().keys() == {"L1", "L3"}
    assert verdict.tally.counts[SENT_AGAIN] == 2
    assert verdict.tally.counts["accepts"] == 3


def test_receipts_are_not_passed_over() -> None:
    def happens(story: Story) -> None:
        story.deliver("ann", "digest")
        story.evidence.circumstances.has_receipts = False

    with pytest.raises(ValueError, match="there are receipts"):
        verdict_of(happens)


def test_ids_that_do_not_tell_channels_apart_are_refused() -> None:
    def happens(story: Story) -> None:
        announce(story, channels=["email", "push"])

    with pytest.raises(ValueError, match="several channels"):
        verdict_of(happens)
