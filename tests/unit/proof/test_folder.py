"""A folder of evidence, judged whole and in parts."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from proof.checker import ledgers
from proof.checker.evidence import Evidence, Promise, Refusal
from proof.checker.folder import judge_folder
from sandbox.ledger import Line
from tests.unit.proof.story import MINUTE, NOON_MS, Story

_encode = msgspec.json.encode


def write(folder: Path, found: Evidence) -> None:
    """As load, sandbox and collector would have."""
    (folder / ledgers.RULES).write_bytes(_encode(found.rules))
    (folder / ledgers.CIRCUMSTANCES).write_bytes(_encode(found.circumstances))
    promises: list[Promise] = [
        *found.requests, *found.broadcasts, *found.changes, *found.cancellations,
        *found.controls, *found.known,
    ]  # fmt: skip
    for promise in promises:
        _append(folder / ledgers.file_of(promise), [promise])
    for receipt in found.receipts:
        _append(folder / ledgers.receipts_of(ledgers.shard_of(receipt.user_id)), [receipt])
    (folder / ledgers.LEDGER).mkdir()
    for each in found.accepts:
        line = Line(
            each.call, each.at_ms, each.provider, 202, "m", each.round, each.attempt,
            [each.delivery_id], ["n"], [each.address], [each.body_hash],
        )  # fmt: skip
        _append(folder / ledgers.LEDGER / "ledger-1.jsonl", [line, {"unanswered": each.call}])
    for refusal in found.refusals:
        _append(folder / ledgers.LEDGER / "refused-1.jsonl", [refusal])


def _append(path: Path, lines: Sequence[object]) -> None:
    with path.open("ab") as file:
        file.writelines(_encode(each) + b"\n" for each in lines)


def a_day() -> Story:
    story = Story()
    for number in range(40):
        user = f"user{number}"
        story.introduce(user)
        story.say(user, "audience_joined", audience="readers", at_ms=NOON_MS - 2 * MINUTE)
        story.deliver(user, "order", at_ms=NOON_MS + number * MINUTE)
    number = story.announce("news", audience="readers")
    for reader in range(40):
        for channel in ("email", "in_app"):
            story.send(number, f"user{reader}", channel)
    again = story.announce("news", audience="readers", at_ms=NOON_MS + MINUTE)
    for each in story.evidence.broadcasts:
        each.said.idempotency_key = "k"
        each.said.data = story.evidence.broadcasts[0].said.data
    story.refuse(again, "", "duplicate")
    return story


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_good_day_is_clean_in_however_many_parts_it_is_judged(
    tmp_path: Path, processes: int
) -> None:
    write(tmp_path, a_day().evidence)

    verdict = judge_folder(tmp_path, processes=processes)

    assert verdict.violations == []
    assert verdict.tally.counts["requests"] == 40
    assert verdict.tally.counts["deliveries"] == 160


@pytest.mark.parametrize("processes", [1, 3])
def test_what_belongs_to_nobody_is_found_once_in_however_many_parts(
    tmp_path: Path, processes: int
) -> None:
    story = a_day()
    story.take(99, "user1", "sms")
    write(tmp_path, story.evidence)

    verdict = judge_folder(tmp_path, processes=processes)

    words = [each.words for each in verdict.violations]
    assert words == ["twilio took a message that no receipt speaks of"]


@pytest.mark.parametrize("processes", [1, 3])
def test_a_forgotten_member_is_missed_once_in_however_many_parts(
    tmp_path: Path, processes: int
) -> None:
    story = a_day()
    lost = ("user7", "in_app")
    found = story.evidence
    found.receipts = [each for each in found.receipts if (each.user_id, each.channel) != lost]
    write(tmp_path, found)

    verdict = judge_folder(tmp_path, processes=processes)

    assert [each.words for each in verdict.violations] == ["user7 was forgotten by in_app"]


@pytest.mark.parametrize("processes", [1, 3])
def test_impatience_is_found_once_in_however_many_parts(tmp_path: Path, processes: int) -> None:
    found = a_day().evidence
    accept = next(each for each in found.accepts if each.provider == "fcm")
    about = [accept.delivery_id], [accept.address]
    found.refusals.append(Refusal(accept.at_ms - 9, "fcm", 429, accept.at_ms, 0, 0, *about))
    write(tmp_path, found)

    verdict = judge_folder(tmp_path, processes=processes)

    words = ["called again after 9 ms, as attempt 0, which is too soon after throttle 1"]
    assert [each.words for each in verdict.violations] == words


@pytest.mark.parametrize(
    ("what", "whose"),
    [("delivery", "several users"), ("notification", "what is another request or user")],
)
def test_an_id_that_users_of_two_parts_share_is_told_of(
    tmp_path: Path, what: str, whose: str
) -> None:
    found = a_day().evidence
    shown = [each for each in found.receipts if each.channel == "in_app"]
    one, other = {each.user_id: getattr(each, f"{what}_id") for each in shown}.popitem()
    for each in shown:
        if ledgers.shard_of(each.user_id) == (ledgers.shard_of(one) + 1) % ledgers.SHARDS:
            setattr(each, f"{what}_id", other)
    write(tmp_path, found)

    words = {each.words for each in judge_folder(tmp_path, processes=1).violations}

    assert f"one {what} id for {whose}" in words


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, a_day().evidence)
    with (tmp_path / ledgers.LEDGER / "ledger-1.jsonl").open("ab") as file:
        file.write(b'[99, 17, "twi')

    assert judge_folder(tmp_path).violations == []


def test_an_empty_folder_is_told_to_be_no_evidence(tmp_path: Path) -> None:
    judged = subprocess.run(
        [sys.executable, "-m", "proof.checker", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert judged.returncode == 1
    assert judged.stderr.startswith("no evidence to judge by, without rules.json, circumstances")


def test_a_folder_in_which_something_was_asked_for_lacks_nothing(tmp_path: Path) -> None:
    write(tmp_path, a_day().evidence)

    assert ledgers.missing_in(tmp_path) == []


@pytest.mark.parametrize("processes", [1, 3])
def test_without_receipts_a_folder_is_judged_by_what_providers_took(
    tmp_path: Path, processes: int
) -> None:
    write(tmp_path, a_sale(lost="user7", twice="user8").evidence)

    verdict = judge_folder(tmp_path, processes=processes)

    assert ledgers.missing_in(tmp_path) == []
    assert sorted({(each.invariant, each.ids[-1]) for each in verdict.violations}) == [
        ("L1", "user user7"), ("L2", "at 17"), ("L3", "user user8"),
    ]  # fmt: skip


@pytest.mark.parametrize("processes", [1, 3])
def test_receipts_that_are_said_not_to_be_there_are_not_passed_over(
    tmp_path: Path, processes: int
) -> None:
    story = a_day()
    story.evidence.circumstances.has_receipts = False
    write(tmp_path, story.evidence)

    with pytest.raises(ValueError, match="there are receipts"):
        judge_folder(tmp_path, processes=processes)


def test_a_judge_that_is_killed_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    write(tmp_path, a_day().evidence)
    monkeypatch.setattr("proof.checker.folder.hear", die)

    with pytest.raises(RuntimeError, match="a judge ended with -9, and told nothing"):
        judge_folder(tmp_path, processes=2)


def a_sale(*, lost: str, twice: str) -> Story:
    """To forty readers, and to somebody whom nobody asked for."""
    story = Story()
    story.evidence.circumstances.has_receipts = False
    users = [f"user{number}" for number in range(40)]
    for user in users:
        story.introduce(user)
    number = story.announce("digest", user_ids=users, idempotency_key="sale")
    for user in (*users, twice):
        if user != lost:
            story.take(number, user, "email", delivery_id=f"sale:{user}")
    story.take(number, "user1", "email", at_ms=17, delivery_id="sale:nobody")
    return story
