import hashlib
import json
from typing import Any

import pytest

from schemas.dead_letter import (
    MAX_KEY_AND_HEADER_BYTES,
    MAX_VALUE_BYTES,
    DeadLetter,
    decode_dead_letter,
    encode_dead_letter,
    letter_of_deliveries,
    letter_of_record,
)
from schemas.delivery import Body, DeliveryBatch, Target
from schemas.kafka import InboundRecord
from tests.unit.schemas.inbound import NORMAL, record

NOW_MS = 1_772_366_400_123
BATCH = DeliveryBatch(
    "sms", "bulk", [Body("t", "c", {"a": 1}, 5)],
    [Target("ann", b"n" * 16, b"d" * 16, "+12025550123")], 7, round=2, attempt=3,
)  # fmt: skip


def letter(given: InboundRecord, *, replayable: bool = True, detail: str = "") -> DeadLetter:
    made = letter_of_record(
        given, stage="decide", cause="bad_json", detail=detail, now_ms=NOW_MS, replayable=replayable
    )
    decoded = decode_dead_letter(encode_dead_letter(made))
    assert decoded == made
    return decoded


def test_a_letter_keeps_the_record_as_it_was_and_where_it_was() -> None:
    given = record(b"\xff\x00{", headers=(("schema-version", b"1.0"), ("raw", b"\xfe")))

    kept = letter(given)

    assert (kept.topic, kept.partition, kept.offset) == (NORMAL, 3, 17)
    assert (kept.key, kept.value) == (b"ann", b"\xff\x00{")
    assert kept.headers == [("schema-version", b"1.0"), ("raw", b"\xfe")]
    assert kept.occurred_at == "2026-03-01T12:00:00.123Z"
    assert (kept.stage, kept.cause, kept.replayable, kept.is_cut) == (
        "decide", "bad_json", True, False,
    )  # fmt: skip


def test_a_letter_is_json_with_base64_bytes() -> None:
    made = letter(record(b"\xff"))

    document: dict[str, Any] = json.loads(encode_dead_letter(made))

    assert (document["kind"], document["value"], document["key"]) == ("record", "/w==", "YW5u")


def test_a_value_over_the_bound_leaves_its_size_and_digest() -> None:
    value = b"x" * (MAX_VALUE_BYTES + 1)

    kept = letter(record(value))

    assert kept.value is None
    assert (kept.value_bytes, kept.value_sha256) == (len(value), hashlib.sha256(value).hexdigest())
    assert kept.is_cut
    assert not kept.replayable
    assert letter(record(value[:-1])).value == value[:-1]


def test_a_null_value_is_told_from_an_empty_one() -> None:
    null, empty = letter(record(None)), letter(record(b""))

    assert (null.value, null.value_sha256, null.is_cut) == (None, "", False)
    assert (empty.value, empty.value_sha256) == (b"", hashlib.sha256(b"").hexdigest())


def test_huge_keys_and_headers_cannot_make_a_letter_too_large_to_write() -> None:
    many = tuple((f"h{n}", b"x" * 1000) for n in range(1000))
    huge_key = record(b"{}")._replace(key=b"k" * (MAX_KEY_AND_HEADER_BYTES + 1))

    for given in (record(b"{}", headers=many), huge_key):
        kept = letter(given)
        assert kept.is_cut
        assert not kept.replayable
        assert len(encode_dead_letter(kept)) < 2 * MAX_KEY_AND_HEADER_BYTES


def test_an_exceptions_text_cannot_make_a_letter_that_is_no_json() -> None:
    kept = letter(record(b"{}"), detail="\ud800" + "x" * 5000)

    assert kept.detail.startswith("?x")
    assert len(kept.detail) == 1000


def test_given_up_deliveries_come_back_as_they_were() -> None:
    made = letter_of_deliveries(
        BATCH, topic="deliveries.sms.bulk", partition=4, stage="send", cause="attempts_exhausted",
        now_ms=NOW_MS,
    )  # fmt: skip

    kept = decode_dead_letter(encode_dead_letter(made))

    assert kept.batch() == BATCH
    assert (kept.kind, kept.round, kept.replayable) == ("deliveries", 2, True)
    assert (kept.topic, kept.partition, kept.offset) == ("deliveries.sms.bulk", 4, -1)


def test_a_letter_of_a_record_holds_no_deliveries() -> None:
    with pytest.raises(ValueError, match="holds no deliveries"):
        letter(record(b"{}")).batch()
