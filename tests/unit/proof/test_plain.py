"""What is plain is spared a look, and the verdict is the same as if it had not been."""

import importlib
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proof.checker.evidence import Data, Evidence, Receipt
from proof.checker.folder import judge_folder
from proof.checker.judge import judge
from proof.checker.verdict import Verdict, Violation
from tests.unit.proof.judging import Tell, opening
from tests.unit.proof.story import MINUTE, NOON_MS, RULES, SECOND, Story
from tests.unit.proof.test_folder import write

USERS = [f"user{number}" for number in range(12)]
Spoil = Callable[[Evidence, random.Random], None]


def stories() -> Iterator[Tell]:
    """Good and bad, of every module that has some."""
    for path in sorted(Path(__file__).parent.glob("test_judge_*.py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        yield from (*module.GOOD, *module.BAD)


def told(verdict: Verdict) -> tuple[list[Violation], Any, Any]:
    return sorted(verdict.violations), verdict.tally.counts, verdict.tally.doubts


@pytest.mark.parametrize("happens", [*stories()])
def test_a_story_is_judged_alike_with_and_without_a_look_at_what_is_plain(happens: Tell) -> None:
    story = opening()

    happens(story)

    assert told(judge(story.evidence)) == told(judge(story.evidence, is_sparing=False))


def a_day(chance: random.Random) -> Evidence:
    """Of people of all sorts, to whom all is sent as if nobody had any wishes."""
    story = Story()
    for user in USERS:
        story.introduce(user, zone=chance.choice(["UTC", "Asia/Kolkata", "America/New_York"]))
        story.say(user, "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
        if chance.random() < 0.5:
            _wish(story, user, chance)
    for place in range(20):
        kind, key = chance.choice(["code", "order", "news"]), chance.choice([None, f"key{place}"])
        said = {"idempotency_key": key} if key else {}
        story.deliver(chance.choice(USERS), kind, at_ms=NOON_MS + place * MINUTE, **said)
    number = story.announce("news", audience="readers", at_ms=NOON_MS + 21 * MINUTE)
    other = story.announce("order", user_ids=USERS[:5], at_ms=NOON_MS + 22 * MINUTE)
    for each, kind, users in ((number, "news", USERS), (other, "order", USERS[:5])):
        for user in users:
            for channel in RULES.kinds[kind].channels:
                story.send(each, user, channel, at_ms=NOON_MS + 23 * MINUTE)
    return story.evidence


def _wish(story: Story, user: str, chance: random.Random) -> None:
    channel = chance.choice(["email", "push", "sms", "in_app"])
    wish: dict[str, Any] = chance.choice([
        {"quiet_hours": "11:00-13:00"}, {"quiet_hours": "17:00-18:00"}, {"quiet_hours": None},
        {"enabled": False}, {"enabled": True}, {"daily_limit": 1},
    ])  # fmt: skip
    story.wish(user, channel, at_ms=NOON_MS - chance.choice([2, -5]) * MINUTE, **wish)


def lose_a_receipt(found: Evidence, chance: random.Random) -> None:
    found.receipts.pop(chance.randrange(len(found.receipts)))


def tell_again(found: Evidence, chance: random.Random) -> None:
    found.receipts.append(chance.choice(found.receipts))


def tell_more(found: Evidence, chance: random.Random) -> None:
    """Receipts that follow on what was plain until then, which may look plain themselves."""
    of_one = chance.choice(found.receipts).delivery_id
    some = [each for each in found.receipts if each.delivery_id == of_one]
    changes = {"receipt_id": f"more{chance.random()}"}
    found.receipts += [msgspec.structs.replace(each, **changes) for each in some]
    if chance.random() < 0.5:
        status = chance.choice(["failed", "sent", "deferred", "in_doubt"])
        found.receipts.append(msgspec.structs.replace(some[0], receipt_id="last", status=status))


def tell_in_another_order(found: Evidence, chance: random.Random) -> None:
    chance.shuffle(found.receipts)


def tell_otherwise(found: Evidence, chance: random.Random) -> None:
    what: dict[str, Any] = chance.choice([
        {"status": "failed"}, {"status": "queued"}, {"status": "sent"}, {"state_rank": 3},
        {"round": 1}, {"device_count": 2}, {"user_id": "user0"}, {"user_id": "nobody"},
        {"channel": "sms"}, {"type": "code"}, {"category": "social"}, {"notification_id": "n"},
        {"delivery_id": "d0"}, {"receipt_id": "r0"}, {"kind": "request"}, {"is_final": True},
        {"metadata": found.receipts[0].metadata}, {"metadata": Receipt.__struct_defaults__[-1]},
        {"device_id": "other"}, {"reason": "rate_limited"}, {"reason": "daily_limit"},
    ])  # fmt: skip
    place = chance.randrange(len(found.receipts))
    found.receipts[place] = msgspec.structs.replace(found.receipts[place], **what)


def lose_an_acceptance(found: Evidence, chance: random.Random) -> None:
    found.accepts.pop(chance.randrange(len(found.accepts)))


def accept_again(found: Evidence, chance: random.Random) -> None:
    found.accepts.append(chance.choice(found.accepts))


def accept_otherwise(found: Evidence, chance: random.Random) -> None:
    what: dict[str, Any] = chance.choice([
        {"address": "somebody@example.org"}, {"body_hash": 1}, {"round": 1}, {"at_ms": 1 << 50},
        {"provider": "twilio"}, {"delivery_id": "another"}, {"delivery_id": "d0"},
        {"at_ms": NOON_MS - MINUTE},
    ])  # fmt: skip
    place = chance.randrange(len(found.accepts))
    found.accepts[place] = msgspec.structs.replace(found.accepts[place], **what)


def ask_otherwise(found: Evidence, chance: random.Random) -> None:
    said = chance.choice(found.requests).said
    what: dict[str, Any] = chance.choice([
        {"ttl_seconds": 0}, {"channels": ["email"]}, {"type": "news"}, {"type": "unheard of"},
        {"user_id": "user0"}, {"data": Data()}, {"idempotency_key": "key1"},
        {"send_at": "2026-01-01T12:30:00.000Z"}, {"expires_at": "2026-01-01T11:30:00.000Z"},
    ])  # fmt: skip
    for name, value in what.items():
        setattr(said, name, value)


def hold_back(found: Evidence, chance: random.Random) -> None:
    """Or call off."""
    story = Story(found)
    at_ms = NOON_MS + chance.randrange(20) * MINUTE - SECOND
    if chance.random() < 0.5:
        story.control("pause", "channel", chance.choice(["email", "push"]), at_ms=at_ms)
        story.control("resume", "channel", "email", at_ms=at_ms + 2 * MINUTE)
    else:
        story.call_off(chance.choice(USERS), f"key{chance.randrange(20)}", at_ms=at_ms)


FAULTS: list[Spoil] = [
    lose_a_receipt, tell_again, tell_more, tell_in_another_order, tell_otherwise,
    lose_an_acceptance, accept_again, accept_otherwise, ask_otherwise, hold_back,
]  # fmt: skip


ACROSS_USERS: list[Spoil] = [tell_otherwise, ask_otherwise]
"""What these do may bring receipts of one user to the request of another."""


def days(seeds: range, faults: Sequence[Spoil] = FAULTS) -> Iterator[Evidence]:
    for seed in seeds:
        chance = random.Random(seed)
        found = a_day(chance)
        for spoil in chance.choices(faults, k=seed % 4):
            spoil(found, chance)
        yield found


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_days_with_faults_are_judged_alike_with_and_without_a_look_at_what_is_plain(
    first: int,
) -> None:
    for found in days(range(first, first + 100)):
        assert told(judge(found)) == told(judge(found, is_sparing=False))


def test_days_with_faults_are_judged_alike_in_parts_and_at_once(tmp_path: Path) -> None:
    faults = [each for each in FAULTS if each not in ACROSS_USERS]
    for number, found in enumerate(days(range(40), faults)):
        assert told(in_parts(tmp_path / str(number), found)) == told(judge(found))


def test_what_goes_wrong_across_users_is_found_in_parts_as_well(tmp_path: Path) -> None:
    """In other words: a part does not know what was asked for the users of another."""
    for number, found in enumerate(days(range(40), ACROSS_USERS)):
        assert in_parts(tmp_path / str(number), found).is_clean == judge(found).is_clean


def in_parts(folder: Path, found: Evidence) -> Verdict:
    folder.mkdir()
    write(folder, found)
    return judge_folder(folder, processes=1)
