import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decode import (
    MAX_RECORD_BYTES,
    ControlDecoder,
    Decoder,
    MessageDecoder,
    Undecodable,
    explain,
    internal,
    traceparent_of,
)
from schemas.delivery import DeliveryBatch, decode_batch, encode_batch
from schemas.kafka import Headers, InboundRecord
from schemas.notification import NOTIFICATION_REQUEST, NotificationRequest
from schemas.recipient import RECIPIENT_CHANGE
from tests.unit.schemas.inbound import NORMAL, change, record, request


class Ignored:
    """What the decoder told of fields that it ignored."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def __call__(self, topic: str, count: int) -> None:
        self.told.append((topic, count))


def decoder(ignored: Ignored | None = None) -> MessageDecoder[NotificationRequest]:
    return MessageDecoder(NOTIFICATION_REQUEST, on_ignored=ignored or Ignored())


def version(text: bytes) -> Headers:
    return (("schema-version", text),)


def nested(levels: int) -> bytes:
    return b'{"user_id":"ann","type":"t","data":{"a":' + b"[" * levels + b"]" * levels + b"}}"


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, "null_value"),
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"\x00", "bad_json"),
        (b'{"user_id":"a\x00n","type":"t"}', "bad_json"),  # a raw control character is no JSON
        (b'{"user_id":"ann","type":"t","data":{"a":"\\ud800"}}', "bad_json"),  # half a character
        (b"\xef\xbb\xbf{}", "bad_json"),  # a byte order mark
        (b'{"user_id":"\xff","type":"t"}', "bad_utf8"),
        (b"\xfe\xff", "bad_utf8"),
        (b'{"user_id":"ann","type":"t","data":{"a":"\\u0000"}}', "invalid"),
        (b'{"user_id":"ann","type":"t","data":{"a":NaN}}', "invalid"),
        (b'{"user_id":"ann","type":"t","data":{"a":1e999}}', "invalid"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b'"text"', "invalid"),
        (b"{}", "invalid"),
        (nested(16), "too_deep"),
        (nested(300_000), "too_deep"),
        (b"[" * (MAX_RECORD_BYTES - len(b"ann")), "too_deep"),  # its key counts too
        (b" " * (MAX_RECORD_BYTES + 1), "too_large"),
        (b"x" * 10_000_000, "too_large"),
        (request(user_id=1), "invalid"),
        (request(extra=1), "invalid"),
        (request(send_at="2026-03-01T12:00:00"), "invalid"),
        (request(expires_at="2026-03-01T12:00:00Z", ttl_seconds=1), "invalid"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_each_kind_of_rubbish_has_its_cause(value: Any, cause: str) -> None:
    with pytest.raises(Undecodable) as refused:
        decoder()(record(value))

    assert refused.value.cause == cause
    assert len(refused.value.detail) <= 500


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_decoded_or_undecodable(value: bytes) -> None:
    with pytest.raises(Undecodable):
        decoder()(record(value))


def test_the_detail_names_the_field_and_never_its_value() -> None:
    secret = "hunter2-at-example"

    with pytest.raises(Undecodable) as refused:
        decoder()(record(request(recipient={"email": secret, "phone": secret}, ttl_seconds=secret)))

    assert refused.value.detail == (
        "ttl_seconds: Input should be a valid integer; "
        "recipient.email: not an e-mail address; "
        "recipient.phone: not a phone number in E.164 form, such as +15550100123"
    )
    assert secret not in str(refused.value)


def test_an_item_of_a_list_is_named_by_its_place() -> None:
    with pytest.raises(Undecodable, match=r"channels\[1\]: Input should be 'push'"):
        decoder()(record(request(channels=["sms", "fax"])))


@pytest.mark.parametrize("text", [b"2.0", b"0.9", b"1", b"", b"one", b"1.0.0", b"\xff", b"-1.0"])
def test_an_unknown_major_or_no_version_at_all_is_undecodable(text: bytes) -> None:
    with pytest.raises(Undecodable) as refused:
        decoder()(record(request(), headers=version(text)))

    assert refused.value.cause == "unknown_schema_version"


def test_a_record_of_our_version_or_without_one_may_not_have_unknown_fields() -> None:
    for headers in ((), version(b"1.0")):
        with pytest.raises(Undecodable, match="mood: Extra inputs are not permitted"):
            decoder()(record(request(mood="good"), headers=headers))


def test_what_a_newer_minor_version_brought_is_counted_and_ignored() -> None:
    ignored = Ignored()
    newer = request(mood="good", recipient={"email": "ann@example.com", "fax": "1"})

    asked = decoder(ignored)(record(newer, headers=version(b"1.7")))

    assert asked.recipient is not None
    assert asked.recipient.email == "ann@example.com"
    assert ignored.told == [(NORMAL, 2)]


def test_a_newer_minor_version_is_no_excuse_for_a_wrong_field() -> None:
    ignored = Ignored()

    with pytest.raises(Undecodable, match="user_id: Input should be a valid string"):
        decoder(ignored)(record(request(mood="good", user_id=1), headers=version(b"1.7")))
    with pytest.raises(Undecodable, match="user_id: Input should be a valid string"):
        decoder(ignored)(record(request(user_id=1), headers=version(b"1.7")))
    assert ignored.told == []


def test_a_newer_change_of_a_recipient_is_read_as_far_as_it_is_known() -> None:
    ignored = Ignored()
    decode = Decoder(RECIPIENT_CHANGE, on_ignored=ignored)
    newer = change("audience_joined", audience="fans", tier="gold")

    said = decode(record(newer, headers=version(b"1.1")))

    assert said.user_id == "ann"
    assert [count for _, count in ignored.told] == [1]


def cloud_event(event_id: bytes, source: bytes) -> Headers:
    return (("ce_specversion", b"1.0"), ("ce_id", event_id), ("ce_source", source))


def test_a_cloud_events_id_and_source_stand_for_a_missing_key() -> None:
    decode = decoder()
    first = decode(record(request(), headers=cloud_event(b"1", b"/shop")))
    again = decode(record(request(), headers=cloud_event(b"1", b"/shop")))
    others = [
        decode(record(request(), headers=cloud_event(b"2", b"/shop"))),
        decode(record(request(), headers=cloud_event(b"p1", b"/sho"))),  # the border moved
    ]

    assert first.idempotency_key == again.idempotency_key is not None
    assert len({each.idempotency_key for each in [first, *others]}) == 3


def test_a_requests_own_key_comes_first() -> None:
    asked = decoder()(record(request(idempotency_key="k"), headers=cloud_event(b"1", b"/shop")))

    assert asked.idempotency_key == "k"


def test_half_a_cloud_event_is_no_key() -> None:
    for headers in (cloud_event(b"1", b""), (("ce_id", b"1"),), (("ce_source", b"/shop"),)):
        assert decoder()(record(request(), headers=headers)).idempotency_key is None


def test_cloud_event_headers_out_of_bounds_are_undecodable() -> None:
    for headers, cause in (
        (cloud_event(b"1" * 1024, b"/shop"), "invalid"),
        (cloud_event(b"\xff", b"/shop"), "bad_utf8"),
    ):
        with pytest.raises(Undecodable) as refused:
            decoder()(record(request(), headers=headers))
        assert refused.value.cause == cause


def test_a_traceparent_is_passed_on_only_when_it_is_one() -> None:
    good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    assert traceparent_of(good) == good.decode()
    assert [traceparent_of(bad) for bad in (None, b"", b"\xff", good + b"\n", good.upper())] == [
        ""
    ] * 5


def test_a_record_of_our_own_is_undecodable_in_the_same_way() -> None:
    decode = internal(decode_batch)
    batch = DeliveryBatch("sms", "normal", [], [], 1)

    assert decode(record(encode_batch(batch))) == batch
    for value, cause in ((None, "null_value"), (b"\xc1", "invalid"), (b"\x90", "invalid")):
        with pytest.raises(Undecodable) as refused:
            decode(record(value))
        assert refused.value.cause == cause


def test_whatever_a_decoder_raised_can_be_explained() -> None:
    assert explain(Undecodable("bad_json", "at 1")) == ("bad_json", "at 1")
    assert explain(UnicodeError("secret")) == ("invalid", "UnicodeError")


def test_a_large_record_within_the_bound_is_decoded() -> None:
    lines = ["x" * 1000] * 700

    assert decoder()(record(json.dumps(request(data={"a": lines})).encode())).data["a"] == lines


def test_the_detail_holds_no_value_nor_what_a_terminal_would_obey() -> None:
    changes = Decoder(RECIPIENT_CHANGE, on_ignored=Ignored())

    with pytest.raises(Undecodable) as field:
        decoder()(record(request(**{"\x1b[2J\nall is well": 1})))
    with pytest.raises(Undecodable) as tag:
        changes(record(change("hunter2-at-example")))

    assert field.value.detail == r"\x1b[2J\nall is well: Extra inputs are not permitted"
    assert tag.value.detail.startswith("Input tag does not match any of the expected tags: 'reci")


def control(value: bytes | dict[str, Any] | None, *, key: bytes | None) -> InboundRecord:
    if isinstance(value, dict):
        value = json.dumps({"occurred_at": "2026-03-01T12:00:00Z"} | value).encode()
    return InboundRecord("controls", 0, 0, 1_772_000_000_000, key, value)


PAUSE = {"action": "pause", "scope": "channel", "name": "sms"}


def test_a_control_without_a_value_resumes_what_its_key_names() -> None:
    resumed = ControlDecoder(on_ignored=Ignored())(control(None, key=b"tenant:shop:eu"))

    assert (resumed.action, resumed.scope, resumed.name) == ("resume", "tenant", "shop:eu")


@pytest.mark.parametrize(
    ("value", "key", "cause"),
    [
        (None, None, "null_value"),
        (None, b"", "null_value"),
        (None, b"sms", "null_value"),
        (None, b"channels:sms", "null_value"),
        (None, b"channel:", "null_value"),
        (None, b"\xff:sms", "null_value"),
        # Compaction would keep the wrong one of two words.
        (PAUSE, b"sms", "invalid"),
        (PAUSE, b"channel:email", "invalid"),
        (PAUSE, b"", "invalid"),
        (PAUSE | {"scope": "user"}, b"user:sms", "invalid"),
        (b"{", b"channel:sms", "bad_json"),
    ],
)
def test_a_control_that_nobody_could_obey_is_undecodable(
    value: Any, key: bytes | None, cause: str
) -> None:
    with pytest.raises(Undecodable) as refused:
        ControlDecoder(on_ignored=Ignored())(control(value, key=key))

    assert refused.value.cause == cause
