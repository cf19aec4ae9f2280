"""A record with many requests is taken apart; one that cannot be says why."""

import json

import pytest

from schemas.batch_record import MAX_REQUESTS, RequestDecoder, parts_of
from schemas.decode import MAX_RECORD_BYTES, Undecodable
from schemas.forwarding import forward
from schemas.kafka import Headers, InboundRecord
from schemas.notification import NOTIFICATION_REQUEST
from tests.unit.schemas.inbound import arrived

TOPIC = "notifications.requested"
DECODE = RequestDecoder(NOTIFICATION_REQUEST, on_ignored=lambda topic, count: None)
ANN, BOB = b'{"user_id": "ann", "type": "t"}', b'{"user_id": "bob", "type": "t"}'


def record(value: bytes | None, headers: Headers = ()) -> InboundRecord:
    return InboundRecord(TOPIC, 3, 17, 1_700, b"key", value, headers)


def test_each_request_of_a_batch_is_a_record_at_its_place() -> None:
    parts = parts_of(record(b" [%b,\n %b ]" % (ANN, BOB), (("h", b"x"),)))

    whole = record(None, (("h", b"x"),))
    assert list(parts) == [
        whole._replace(value=ANN, part=0),
        whole._replace(value=BOB, part=1),
    ]  # fmt: skip
    assert [DECODE(part).user_id for part in parts] == ["ann", "bob"]


@pytest.mark.parametrize("value", [ANN, b"", None, b"no json", b'"[]"'])
def test_anything_but_an_array_is_one_record(value: bytes | None) -> None:
    assert list(parts_of(record(value))) == [record(value)]


@pytest.mark.parametrize(
    ("value", "cause", "detail"),
    [
        (b"[]", "invalid", "0 requests in a batch, from 1 to 1000"),
        (b"[%b]" % b",".join([b"{}"] * (MAX_REQUESTS + 1)), "invalid", "1001 requests"),
        (b"[%b" % ANN, "bad_json", ""),
        (b"[%b,]" % ANN, "bad_json", ""),
        (b"[" * 100_000, "too_deep", ""),
        (b'["' + b"x" * MAX_RECORD_BYTES + b'"]', "too_large", ""),
    ],
    ids=["none", "too many", "no end", "a comma too many", "deep", "large"],
)
def test_a_batch_that_cannot_be_taken_apart_is_one_dead_letter(
    value: bytes, cause: str, detail: str
) -> None:
    (whole,) = parts_of(record(value))

    with pytest.raises(Undecodable) as caught:
        DECODE(whole)

    assert (whole.value, caught.value.cause) == (value, cause)
    assert detail in caught.value.detail


@pytest.mark.parametrize(
    ("element", "cause"),
    [
        (b"7", "invalid"),
        (b"null", "invalid"),
        (b"[%b]" % ANN, "invalid"),
        (b'{"user_id": "\xff", "type": "t"}', "bad_utf8"),
        (b'{"user_id": "ann"}', "invalid"),
    ],
    ids=["number", "null", "batch", "text", "request"],
)
def test_an_unreadable_request_leaves_its_neighbours_alone(element: bytes, cause: str) -> None:
    first, bad, last = parts_of(record(b"[%b,%b,%b]" % (ANN, element, BOB)))

    with pytest.raises(Undecodable) as caught:
        DECODE(bad)

    assert (bad.value, caught.value.cause) == (element, cause)
    assert [DECODE(each).user_id for each in (first, last)] == ["ann", "bob"]


def test_a_cloud_event_of_many_requests_makes_a_key_for_each() -> None:
    event = (("ce_id", b"7"), ("ce_source", b"shop"))
    own = json.dumps({"user_id": "ann", "type": "t", "idempotency_key": "k"}).encode()

    keys = [
        DECODE(part).idempotency_key
        for part in parts_of(record(b"[%b,%b,%b]" % (ANN, ANN, own), event))
    ]

    assert keys == ["ce:4:shop7[0]", "ce:4:shop7[1]", "k"]


def test_a_request_of_a_cloud_event_keeps_its_key_in_its_users_partition() -> None:
    parts = parts_of(record(b"[%b,%b]" % (ANN, ANN), (("ce_id", b"7"), ("ce_source", b"shop"))))

    forwarded = [DECODE(arrived(forward(part, 6))).idempotency_key for part in parts]

    assert forwarded == [DECODE(part).idempotency_key for part in parts]
