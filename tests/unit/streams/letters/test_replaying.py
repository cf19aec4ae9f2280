"""Which dead letters go back, where to, and as what."""

import pytest
from msgspec.structs import replace

from policies.stops import HORIZON_MS
from schemas import topics
from schemas.batch_record import parts_of
from schemas.dead_letter import (
    DeadLetter,
    decode_dead_letter,
    letter_of_deliveries,
    letter_of_record,
)
from schemas.delivery import Body, DeliveryBatch, Target, decode_batch
from schemas.forwarding import Origin, forward, origin_of
from schemas.ids import partition_of
from schemas.kafka import InboundRecord, Record
from streams.envelopes import RecordEnvelopes
from streams.letters.replaying import TOO_OLD, NotReplayable, PutBack, Replay

NOW_MS = 1_767_225_600_123
PARTITIONS = 8
HEADERS = (("traceparent", b"00-0-0-01"), ("origin-topic", b"made-up"))
REPLAY = Replay(ingress=["notifications.requested", "orders"], now_ms=NOW_MS)


def letter(topic: str, *, replayable: bool = True, value: bytes = b"{}") -> DeadLetter:
    record = InboundRecord(topic, 3, 17, NOW_MS - 5_001, b"ann", value, HEADERS)
    return letter_of_record(
        record, stage="decide", cause="stage_raised", detail="", now_ms=NOW_MS,
        replayable=replayable,
    )  # fmt: skip


def deliveries(
    *, released_ms: int = NOW_MS - 1, stage: str = "send", replayable: bool = True
) -> DeadLetter:
    batch = DeliveryBatch(
        "sms", "critical", [Body("code", "security", {}, NOW_MS + 1)],
        [Target("ann", b"n" * 16, b"d" * 16, "+15550100"), Target("bob", b"m" * 16, b"e" * 16, "+1")],
        released_ms, b"s" * 16, round=1, attempt=4, call=9, sender="main", held_attempt=1, free_calls=3,
    )  # fmt: skip
    return letter_of_deliveries(
        batch, topic="deliveries.sms.critical", partition=5, stage=stage,
        cause="attempts_exhausted", now_ms=NOW_MS, replayable=replayable,
    )  # fmt: skip


def put_back(given: DeadLetter) -> PutBack:
    fate = REPLAY.of(given)
    assert isinstance(fate, PutBack)
    return fate


def test_deliveries_go_out_as_their_next_round_where_they_left() -> None:
    given = deliveries()

    record, weight = put_back(given)

    assert (record.topic, record.partition, record.key, weight) == (
        "deliveries.sms.critical", 5, None, 2
    )  # fmt: skip
    again = decode_batch(record.value or b"")
    assert again == replace(given.batch(), round=2, attempt=1, call=1, held_attempt=0, free_calls=0)


def test_a_letter_is_put_back_as_the_same_record_however_often() -> None:
    given = deliveries()

    later = Replay(ingress=[], now_ms=NOW_MS + 3_600_000)

    assert later.of(given) == REPLAY.of(given)


@pytest.mark.parametrize(("age_ms", "is_too_old"), [(HORIZON_MS - 1, False), (HORIZON_MS, True)])
def test_deliveries_older_than_stops_are_remembered_stay(age_ms: int, is_too_old: bool) -> None:
    fate = REPLAY.of(deliveries(released_ms=NOW_MS - age_ms))

    assert (fate == NotReplayable(TOO_OLD)) is is_too_old


@pytest.mark.parametrize("topic", ["notifications.requested", "orders", topics.RECIPIENTS_CHANGED])
def test_a_record_goes_back_as_itself(topic: str) -> None:
    record, weight = put_back(letter(topic))

    assert (record.topic, record.partition, record.value, weight) == (
        f"{topic}.forwarded", 3, b"{}", 1
    )  # fmt: skip
    read = InboundRecord(record.topic, 3, 99, NOW_MS, None, record.value, record.headers)
    assert origin_of(read) == Origin(topic, 3, 17, NOW_MS - 5_001)
    assert read.header("traceparent") == b"00-0-0-01"


def test_a_request_of_a_batch_goes_back_alone_with_the_place_it_had() -> None:
    whole = InboundRecord("orders", 3, 17, NOW_MS, b"ann", b"[{},{}]", ())
    envelopes = RecordEnvelopes(partitions=PARTITIONS)
    item = envelopes.item(parts_of(whole)[1], is_forwarded=False)
    dead = envelopes.dead_letter(
        item, stage="decide", cause="stage_raised", detail="", now_ms=NOW_MS
    )

    dead_letter = decode_dead_letter(dead.value or b"")
    record, _ = put_back(dead_letter)

    assert dead_letter.origin == "orders:3:17:1"
    again = InboundRecord(record.topic, 3, 5, NOW_MS, None, record.value, record.headers)
    assert (again.value, origin_of(again)) == (b"{}", Origin("orders", 3, 17, NOW_MS, 1))
    assert envelopes.item(again, is_forwarded=True).origin == item.origin


def test_a_record_that_had_been_forwarded_keeps_its_first_origin() -> None:
    home = partition_of("ann", PARTITIONS)
    misplaced = InboundRecord("orders", (home + 1) % PARTITIONS, 17, NOW_MS, b"ann", b"{}", ())
    moved = forward(misplaced, home)
    read = InboundRecord(moved.topic, home, 4, NOW_MS, None, moved.value, moved.headers)
    envelopes = RecordEnvelopes(partitions=PARTITIONS)
    item = envelopes.item(read, is_forwarded=True)
    dead = envelopes.dead_letter(
        item, stage="decide", cause="stage_raised", detail="", now_ms=NOW_MS
    )

    record, _ = put_back(decode_dead_letter(dead.value or b""))

    assert (record.topic, record.partition) == (moved.topic, home)
    again = InboundRecord(record.topic, home, 5, NOW_MS, None, record.value, record.headers)
    assert origin_of(again) == Origin(*misplaced[:4])


@pytest.mark.parametrize(
    "topic",
    [
        topics.RECIPIENTS_IMPORTED,
        topics.RECIPIENTS_DERIVED,
        topics.ADDRESSES_CHANGED,
        topics.DELIVERIES_RETURNED,
    ],
)
def test_our_own_records_go_back_where_they_were(topic: str) -> None:
    record, _ = put_back(letter(topic))

    assert record == Record(topic, 3, b"{}", None, HEADERS)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        # What did not decode never will.
        (letter("orders", replayable=False), "it can only fail again: its producer must mend it"),
        # The next channel may have reached the person.
        (deliveries(replayable=False), "another channel goes on with it"),
        (letter("orders", value=b"x" * 300_000), "it was too large to be kept"),
        # Said to be dead while its deliveries were moved on to the schedule.
        (deliveries(stage="release"), "its deliveries went on by themselves"),
        (
            letter(topics.BROADCASTS_REQUESTED),
            "a broadcast told twice reaches people twice: it is asked anew",
        ),
        # A row of a schedule, which no topic ever carried.
        (letter(""), "it was waiting when it failed: its producer may ask again"),
    ],
)
def test_what_cannot_go_back_says_why(given: DeadLetter, why: str) -> None:
    assert REPLAY.of(given) == NotReplayable(why)
