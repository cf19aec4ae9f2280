"""What the engine writes for a stage that never sees the record fits what Kafka takes."""

import json

import pytest

from agents.stage import Effects
from schemas.decode import MAX_RECORD_BYTES, MessageDecoder, Undecodable
from schemas.ids import partition_of
from schemas.kafka import Headers, InboundRecord
from schemas.notification import NOTIFICATION_REQUEST
from schemas.topics import REQUESTED
from streams.engine.effects import size_of
from streams.envelopes import RecordEnvelopes

PARTITIONS = 48
ENVELOPES = RecordEnvelopes(partitions=PARTITIONS)
DECODE = MessageDecoder(NOTIFICATION_REQUEST, on_ignored=lambda topic, count: None)


def misplaced(*, data_bytes: int = 0, headers: Headers = (), key: bytes = b"") -> InboundRecord:
    said = {"user_id": "ann", "type": "t", "data": {"text": "x" * data_bytes}}
    elsewhere = (partition_of("ann", PARTITIONS) + 1) % PARTITIONS
    topic = REQUESTED["critical"]
    return InboundRecord(topic, elsewhere, 2**60, 2**42, key, json.dumps(said).encode(), headers)


ROOM_BYTES = MAX_RECORD_BYTES - misplaced().size_bytes


@pytest.mark.parametrize(
    "largest",
    [
        misplaced(data_bytes=ROOM_BYTES),
        misplaced(headers=(("h", b"x" * (ROOM_BYTES - 1)),)),
        misplaced(headers=(("h" * (ROOM_BYTES // 2), b"x" * (ROOM_BYTES // 2)),)),
        # A name that was no UTF-8 is read as four characters a byte.
        misplaced(headers=(("\\xff" * (ROOM_BYTES // 4), b""),)),
        misplaced(key=b"x" * ROOM_BYTES),
    ],
    ids=["value", "header", "header name", "unreadable header name", "key"],
)
def test_the_largest_record_that_decodes_can_be_forwarded_and_decodes_again(
    largest: InboundRecord,
) -> None:
    item = ENVELOPES.item(largest, is_forwarded=False)

    (home,) = ENVELOPES.homes([DECODE(largest).user_id])
    sent = ENVELOPES.forward(item, home)

    assert size_of(Effects(records=[sent])) > 0
    again = InboundRecord(sent.topic, sent.partition, 0, 2**42, sent.key, sent.value, sent.headers)
    assert DECODE(again) == DECODE(largest)


@pytest.mark.parametrize("part", ["value", "header", "key"])
def test_a_larger_one_is_refused_whatever_makes_it_large(part: str) -> None:
    more = ROOM_BYTES + 1
    larger = {
        "value": misplaced(data_bytes=more),
        "header": misplaced(headers=(("h", b"x" * more),)),
        "key": misplaced(key=b"x" * more),
    }

    with pytest.raises(Undecodable) as refused:
        DECODE(larger[part])

    assert refused.value.cause == "too_large"


@pytest.mark.parametrize("value", [None, b"x" * 256 * 1024, b"x" * 10_000_000])
def test_a_dead_letter_fits_however_large_its_record(value: bytes | None) -> None:
    headers: Headers = tuple((f"h{number}", b"x" * 1000) for number in range(900))
    record = InboundRecord(REQUESTED["normal"], 3, 17, 0, b"k" * 1000, value, headers)
    item = ENVELOPES.item(record, is_forwarded=False)

    letter = ENVELOPES.dead_letter(
        item, stage="decide", cause="too_large", detail="x" * 9999, now_ms=0
    )

    assert size_of(Effects(records=[letter])) > 0
