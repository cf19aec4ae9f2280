"""`postrider dlq` on letters as stages leave them."""

import json
import time

import pytest

from schemas import topics
from schemas.dead_letter import (
    DeadLetter,
    encode_dead_letter,
    letter_of_deliveries,
    letter_of_record,
)
from schemas.delivery import Body, DeliveryBatch, Target, decode_batch
from schemas.kafka import InboundRecord, Record
from tests.integration.command_line.conftest import Installation

EMAIL = topics.deliveries("email", "normal")
FORWARDED = topics.forwarded(topics.REQUESTED["normal"])
SECRET = "s3cret@example.com"
NOW_MS = time.time_ns() // 1_000_000


def undelivered(*names: str, age_ms: int = 0) -> DeadLetter:
    targets = [
        Target(name, name.encode().rjust(16), name.encode().ljust(16), SECRET) for name in names
    ]
    body = Body("login_code", "security", {"code": "1234"}, NOW_MS + 60_000)
    batch = DeliveryBatch("email", "normal", [body], targets, NOW_MS - age_ms, attempt=4, call=5)
    return letter_of_deliveries(
        batch, topic=EMAIL, partition=1, stage="send", cause="attempts_exhausted", now_ms=NOW_MS
    )


def of_request(cause: str) -> DeadLetter:
    record = InboundRecord(
        topics.REQUESTED["normal"], 0, 7, NOW_MS, b"ann", b'{"user_id":"ann"}', ()
    )
    return letter_of_record(
        record, stage="decide", cause=cause, detail="type: Field required", now_ms=NOW_MS,
        replayable=cause == "stage_raised",
    )  # fmt: skip


@pytest.fixture
def lettered(postrider: Installation) -> Installation:
    """With four dead letters: 0:0 and 0:1 of requests, 1:0 and 1:1 of deliveries."""
    postrider.write(
        Record(topics.DEAD_LETTERS, 0, encode_dead_letter(of_request("invalid"))),
        Record(topics.DEAD_LETTERS, 0, encode_dead_letter(of_request("stage_raised"))),
        Record(topics.DEAD_LETTERS, 1, encode_dead_letter(undelivered("ann", "bob"))),
        Record(topics.DEAD_LETTERS, 1, encode_dead_letter(undelivered("cat", age_ms=8 * 86_400_000))),
    )  # fmt: skip
    return postrider


def listed(installation: Installation, *options: str) -> list[str]:
    lines = installation("dlq", "list", "--json", *options).out.splitlines()
    return [json.loads(line)["coordinate"] for line in lines]


def put_back(installation: Installation) -> list[tuple[str, int]]:
    return [
        (record.topic, record.partition)
        for topic in (FORWARDED, EMAIL)
        for record in installation.read(topic)
    ]


def test_list_finds_letters_by_stage_cause_and_time(lettered: Installation) -> None:
    assert listed(lettered) == ["0:0", "0:1", "1:0", "1:1"]
    assert listed(lettered, "--stage", "send") == ["1:0", "1:1"]
    assert listed(lettered, "--cause", "invalid") == ["0:0"]
    assert listed(lettered, "--since", "1h") == ["0:0", "0:1", "1:0", "1:1"]
    assert listed(lettered, "--since", "2999-01-01T00:00:00Z") == []
    assert listed(lettered, "--until", "1h") == []
    assert listed(lettered, "--limit", "1") == ["1:1"]


def test_list_tells_a_person_what_was_given_up_and_whether_it_may_go_back(
    lettered: Installation,
) -> None:
    ended = lettered("dlq", "list")

    rows = [line.split("\t") for line in ended.out.splitlines()]
    assert rows[0] == [
        "coordinate", "occurred_at", "stage", "cause", "detail", "origin", "count", "replay"
    ]  # fmt: skip
    assert [(row[0], row[3], row[6], row[7][:3]) for row in rows[1:]] == [
        ("0:0", "invalid", "1", "no:"),
        ("0:1", "stage_raised", "1", "yes"),
        ("1:0", "attempts_exhausted", "2", "yes"),
        ("1:1", "attempts_exhausted", "1", "no:"),
    ]
    assert ended.err == "4 dead letters\n"


def test_show_covers_what_is_sensitive_unless_told_to_reveal(lettered: Installation) -> None:
    covered, revealed = lettered("dlq", "show", "1:0"), lettered("dlq", "show", "1:0", "--reveal")
    as_json = json.loads(lettered("dlq", "show", "1:0", "--json").out)

    assert SECRET not in covered.out
    assert "1234" not in covered.out
    assert "attempts_exhausted" in covered.out
    assert SECRET in revealed.out
    assert "1234" in revealed.out
    assert (as_json["coordinate"], as_json["original"]["channel"]) == ("1:0", "email")


@pytest.mark.parametrize("coordinate", ["1:9", "7:0"])
def test_show_of_a_letter_that_is_not_there_says_so(
    lettered: Installation, coordinate: str
) -> None:
    ended = lettered("dlq", "show", coordinate)

    told = f"postrider: {coordinate}: no dead letter is there, or it is not kept any more\n"
    assert (ended.code, ended.err) == (2, told)


def test_a_dry_run_counts_and_puts_nothing_back(lettered: Installation) -> None:
    ended = lettered("dlq", "replay", "--all", "--dry-run")

    assert put_back(lettered) == []
    assert ended.code == 0
    assert [line.split("\t") for line in ended.out.splitlines()[1:]] == [
        ["decide", "stage_raised", "1", "record"],
        ["send", "attempts_exhausted", "2", "deliveries"],
        ["decide", "invalid", "1", "stays: it can only fail again: its producer must mend it"],
        [
            "send", "attempts_exhausted", "1",
            "stays: it waited longer than stops are remembered: its producer may ask again",
        ],
    ]  # fmt: skip


def test_replay_puts_back_what_was_counted_the_same_each_time(lettered: Installation) -> None:
    first = lettered("dlq", "replay", "--all", "--yes", "--json")
    lettered("dlq", "replay", "--all", "--json")

    assert json.loads(first.out)["letters"] == 2
    assert put_back(lettered) == [(FORWARDED, 0), (FORWARDED, 0), (EMAIL, 1), (EMAIL, 1)]
    once, again = lettered.read(EMAIL)
    assert once.value == again.value
    batch = decode_batch(once.value or b"")
    assert (batch.round, batch.attempt, batch.call) == (1, 1, 1)
    request = lettered.read(FORWARDED)[0]
    assert request.value == b'{"user_id":"ann"}'
    assert request.header("origin-offset") == b"7"


def test_replay_takes_just_what_it_is_asked_for(lettered: Installation) -> None:
    lettered("dlq", "replay", "1:0")

    assert put_back(lettered) == [(EMAIL, 1)]


def test_replay_is_no_faster_than_asked(lettered: Installation) -> None:
    lettered.write(
        Record(topics.DEAD_LETTERS, 1, encode_dead_letter(undelivered("dan"))),
    )
    started = time.monotonic()

    ended = lettered("dlq", "replay", "--stage", "send", "--rate", "2/s")

    assert (ended.code, ended.err) == (0, "")
    assert len(put_back(lettered)) == 2
    assert time.monotonic() - started >= 1.0, "the second letter waits for the two of the first"


def test_replay_wants_to_be_told_what(lettered: Installation) -> None:
    ended = lettered("dlq", "replay")

    assert (ended.code, ended.out) == (2, "")
    assert "say which" in ended.err
    assert put_back(lettered) == []
