"""Whatever a provider puts into its answer, `send` does not raise: the call would end in doubt."""

import pytest

from schemas.outcome import Accepted, AddressInvalid, NotProcessed, Outcome, Rejected
from tests.contract.channels.conftest import Bench
from tests.contract.channels.wire import Scripted, http, serving

DEEP = b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
UNREGISTERED = b"""{"error": {"message": "Ger\xe4t nicht gefunden", "details": [
    {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}]}}"""
SPOILT = NotProcessed(reason="spoilt", provider_code="400")
SPOILT_APART = NotProcessed(reason="spoilt", provider_code="400", retry_after_seconds=0.001)
FOREVER = "Retry-After: Fri, 31 Dec 2026 23:59:59 +99999999999999999999"


async def answered(bench: Bench, answer: bytes, messages: int = 1) -> list[Outcome]:
    """What a request to a provider that answers so comes to."""
    async with serving(Scripted(answer)) as url:
        sender = await bench.sender(base_url=url)
        return list(await sender.send([bench.outgoing(number) for number in range(messages)]))


@pytest.mark.parametrize(
    ("bench", "answer", "outcome"),
    [
        ("fcm", http(404, UNREGISTERED), AddressInvalid(provider_code="UNREGISTERED")),
        ("fcm", http(200, b'{"name": "p/\xfc"}'), Accepted(provider_message_id="p/\ufffd")),
        ("twilio", http(201, b'{"sid": "SM\xfc"}'), Accepted(provider_message_id="SM\ufffd")),
        (
            "twilio",
            http(400, b'{"message": "\xfc", "code": 21610}'),
            AddressInvalid(provider_code="21610"),
        ),
        ("sendgrid", http(400, b'{"errors": [{"field": "\xfc"}]}'), Rejected(provider_code="400")),
    ],
    indirect=["bench"],
)
async def test_text_that_is_no_utf8_leaves_the_rest_of_the_answer_readable(
    bench: Bench, answer: bytes, outcome: Outcome
) -> None:
    assert await answered(bench, answer) == [outcome]


@pytest.mark.parametrize(
    "body", [DEEP, b"\xff\xfe", b'{"name": "\\ud800?", "sid": "\\ud800?"}'],
    ids=["too deep", "no text", "half a character"],
)  # fmt: skip
async def test_acceptance_that_says_nothing_readable_is_one(bench: Bench, body: bytes) -> None:
    assert await answered(bench, http(202, body)) == [Accepted()]


async def test_refusal_that_says_nothing_readable_is_one(bench: Bench) -> None:
    assert await answered(bench, http(413, DEEP)) == [Rejected(provider_code="413")]


async def test_wait_until_a_date_of_no_calendar_is_a_wait(bench: Bench) -> None:
    (outcome,) = await answered(bench, http(429, b"{}", FOREVER))

    assert isinstance(outcome, NotProcessed)


@pytest.mark.parametrize("digits", [4, 5_000])
async def test_blame_for_a_recipient_that_is_none_is_nobodys(sendgrid: Bench, digits: int) -> None:
    body = b'{"errors": [{"field": "personalizations.%b.to"}]}' % (b"9" * digits)

    assert await answered(sendgrid, http(400, body), messages=2) == [SPOILT, SPOILT_APART]


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"access_token": "\xfc", "expires_in": 3599}',
        b'{"access_token": "two\\nlines", "expires_in": 3599}',
        b'{"access_token": "", "expires_in": 3599}',
    ],
    ids=["too deep", "no utf-8", "no header", "empty"],
)
async def test_token_that_is_none_leaves_no_message_in_doubt(fcm: Bench, body: bytes) -> None:
    async with serving(Scripted(http(200, body))) as url:
        sender = await fcm.sender(token_uri=url)

        (outcome,) = await sender.send([fcm.outgoing()])

    assert outcome == NotProcessed(consumes_attempt=True, reason="server_error")
    assert fcm.requests() == 0
