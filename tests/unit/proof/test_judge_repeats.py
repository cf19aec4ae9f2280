"""L1, L3, L7: a key is decided once in its window, and refused for what was decided."""

import pytest

from proof.checker.contents import hash_of
from proof.checker.evidence import Data, Known
from tests.unit.proof.judging import Tell, assert_clean, assert_told_of
from tests.unit.proof.story import MINUTE, NOON_MS, RULES, Story


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


def _repeated(story: Story, partition: int, *at_ms: int, refused: int) -> None:
    """A broadcast that was sent, whose window is over at noon; one of its repeats is a duplicate."""
    first_ms = NOON_MS - RULES.dedup_ms
    story.evidence.known[0] = Known(first_ms)
    for change in story.evidence.changes:
        change.at_ms = first_ms - MINUTE
    story.say("ann", "audience_joined", audience="readers", at_ms=first_ms - MINUTE)
    first = story.announce("news", audience="readers", idempotency_key="k", at_ms=first_ms)
    for channel in ("email", "in_app"):
        story.send(first, "ann", channel, at_ms=first_ms)
    again = [
        story.announce(
            "news", partition=partition, audience="readers", idempotency_key="k", at_ms=each,
            data=Data(str(first)),
        )
        for each in at_ms
    ]  # fmt: skip
    story.refuse(again[refused], "", "duplicate")


def a_broadcast_repeated_where_nobody_knows_of_the_first(story: Story) -> None:
    _repeated(story, 1, NOON_MS - MINUTE, NOON_MS, refused=1)


def a_broadcast_refused_for_one_that_came_later(story: Story) -> None:
    _repeated(story, 1, NOON_MS, NOON_MS + MINUTE, refused=0)


def a_broadcast_refused_for_a_repeat_that_nobody_answered(story: Story) -> None:
    _repeated(story, 0, NOON_MS - MINUTE, NOON_MS, refused=1)


GOOD: list[Tell] = [
    a_broadcast_repeated_where_nobody_knows_of_the_first,
    a_repeat,
    a_repeat_after_the_window,
    a_contradiction,
    a_broadcast_told_again_by_another_partition,
]


@pytest.mark.parametrize("happens", GOOD)
def test_a_repeat_that_is_refused_or_free_again_is_clean(happens: Tell) -> None:
    assert_clean(happens)


def a_duplicate_of_nothing(story: Story) -> None:
    story.refuse(story.ask("ann", "code", idempotency_key="k"), "ann", "duplicate")


def a_contradiction_told_as_a_duplicate(story: Story) -> None:
    story.deliver("ann", "code", idempotency_key="k")
    story.refuse(story.ask("ann", "code", idempotency_key="k"), "ann", "duplicate")


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


BAD: dict[Tell, str] = {
    a_duplicate_of_nothing: "L1 refused as",
    a_contradiction_told_as_a_duplicate: "L1 refused as",
    a_key_decided_twice: "L3 the same key was decided twice",
    a_key_decided_twice_just_inside_the_window: "L3 the same key was decided twice",
    two_keys_of_one_notification: "L7 one notification id for what is another request or user",
    a_broadcast_refused_for_one_that_came_later: "L1 refused as",
    a_broadcast_refused_for_a_repeat_that_nobody_answered: "L1 refused as",
    a_broadcast_expanded_twice: "L3 the same key was decided twice",
}


@pytest.mark.parametrize("happens", BAD)
def test_a_key_decided_twice_or_refused_for_nothing_is_told_of(happens: Tell) -> None:
    assert_told_of(happens, BAD[happens])
