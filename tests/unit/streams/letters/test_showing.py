"""What a person sees of a dead letter's original."""

import json
from typing import Any

import pytest

from policies.rules import Category, NotificationType, Rules
from schemas.dead_letter import DeadLetter, letter_of_deliveries, letter_of_record
from schemas.delivery import Body, DeliveryBatch, Target
from schemas.kafka import InboundRecord
from streams.letters.showing import COVERED, HIDDEN, original, summary

CODE = NotificationType(
    "login_code", Category("security"), ("sms",), sensitive=frozenset({"code"})
)  # fmt: skip
RULES = Rules(types={"login_code": CODE})
SECRET = "s3cret"


def of_record(value: bytes) -> DeadLetter:
    record = InboundRecord("notifications.requested", 0, 1, 2, None, value, (("h", b"v"),))
    return letter_of_record(
        record, stage="decide", cause="invalid", detail="", now_ms=0, replayable=False
    )


def of_request(**members: Any) -> DeadLetter:
    return of_record(json.dumps({"user_id": "ann", **members}).encode())


def test_sensitive_fields_and_addresses_of_a_request_are_covered() -> None:
    given = of_request(
        type="login_code", data={"code": SECRET, "app": "shop"}, recipient={"email": SECRET}
    )

    shown = original(given, RULES, reveal=False)

    assert shown["data"] == {"code": COVERED, "app": "shop"}
    assert shown["recipient"] == {"email": COVERED}
    assert SECRET in json.dumps(original(given, RULES, reveal=True))


def test_all_data_of_a_type_that_nobody_knows_is_covered() -> None:
    shown = original(of_request(type="gone", data={"a": SECRET}), RULES, reveal=False)

    assert shown["data"] == {"a": COVERED}


@pytest.mark.parametrize(
    "value",
    [
        b'{"code": "s3cret"',
        b"\xff s3cret",
        b'["s3cret"]',
        # What Python would take for JSON, and could not print.
        b'{"code": "\\ud800 s3cret"}',
        b'{"code": "s3cret", "data": ' + b"[" * 600 + b"]" * 600 + b"}",
    ],
)
def test_what_is_no_request_is_hidden_unless_revealed(value: bytes) -> None:
    assert original(of_record(value), RULES, reveal=False) == HIDDEN
    assert SECRET in original(of_record(value), RULES, reveal=True)


def test_deliveries_show_their_ids_as_receipts_do_and_no_address() -> None:
    batch = DeliveryBatch(
        "sms", "normal", [Body("login_code", "security", {"code": SECRET}, 9)],
        [Target("ann", b"n" * 16, b"d" * 16, SECRET, b"h" * 16)], 5,
    )  # fmt: skip
    given = letter_of_deliveries(
        batch, topic="deliveries.sms.normal", partition=0, stage="send", cause="too_old", now_ms=0
    )

    shown = original(given, RULES, reveal=False)

    assert shown["targets"][0]["notification_id"] == "6e6e6e6e-6e6e-6e6e-6e6e-6e6e6e6e6e6e"
    assert shown["bodies"][0]["data"] == {"code": COVERED}
    assert SECRET not in json.dumps(shown)
    assert SECRET in json.dumps(original(given, RULES, reveal=True))


def test_a_summary_holds_nothing_that_a_producer_wrote() -> None:
    shown = summary(of_request(type="login_code", data={"code": SECRET}))

    assert SECRET not in json.dumps(shown)
    assert shown["headers"] == ["h"]
    assert shown["origin"] == "notifications.requested:0:1"
