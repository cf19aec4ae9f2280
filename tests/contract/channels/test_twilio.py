"""What a message's form says."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from channels.base import Outgoing, SmsContent
from channels.sms.twilio import Twilio, TwilioSettings
from policies.clock import ManualClock
from schemas.ids import to_text
from schemas.outcome import Accepted, Outcome, Rejected
from tests.contract.channels.conftest import Bench
from tests.contract.channels.wire import Scripted, http, serving

NOW_MS = 1_767_225_600_000


async def form_of(message: Outgoing, status_callback: str = "") -> tuple[dict[str, str], Outcome]:
    scripted = Scripted(http(201, b'{"sid": "SM1", "status": "queued", "error_code": null}'))
    async with serving(scripted) as url:
        sender = Twilio(
            TwilioSettings(
                base_url=url,
                account_sid="AC1",
                auth_token="secret",
                status_callback=status_callback,
            ),
            clock=ManualClock(NOW_MS),
        )
        await sender.start()
        (outcome,) = await sender.send([message])
        await sender.close()
    (request,) = scripted.requests
    assert request.path == "/2010-04-01/Accounts/AC1/Messages.json"
    return dict(parse_qsl(request.body.decode())), outcome


def sms(*, expires_in_ms: int = 300_000, text: str = "Grüße & 1+1") -> Outgoing:
    content = SmsContent(text)
    return Outgoing(
        b"d" * 16, b"n" * 16, "user/1", "+4915551", content, NOW_MS + expires_in_ms,
        sender="+15550100", round=2, attempt=3,
    )  # fmt: skip


async def test_form_holds_the_message() -> None:
    form, outcome = await form_of(sms())

    assert outcome == Accepted(provider_message_id="SM1")
    assert form == {
        "To": "+4915551",
        "From": "+15550100",
        "Body": "Grüße & 1+1",
        "ValidityPeriod": "300",
    }


@pytest.mark.parametrize(
    ("expires_in_ms", "validity"), [(999, "1"), (-5_000, "1"), (86_400_000, "36000")]
)
async def test_validity_follows_the_expiry_within_the_vendors_bounds(
    expires_in_ms: int, validity: str
) -> None:
    form, _ = await form_of(sms(expires_in_ms=expires_in_ms))

    assert form["ValidityPeriod"] == validity


@pytest.mark.parametrize("callback", ["https://example.com/in", "https://example.com/in?a=b"])
async def test_callback_brings_our_ids_back(callback: str) -> None:
    form, _ = await form_of(sms(), status_callback=callback)

    url = form["StatusCallback"]
    assert url.startswith(callback)
    assert set(parse_qsl(urlsplit(url).query)) - {("a", "b")} == {
        ("delivery_id", to_text(b"d" * 16)),
        ("notification_id", to_text(b"n" * 16)),
        ("user_id", "user/1"),
        ("round", "2"),
        ("attempt", "3"),
    }


async def test_text_beyond_the_vendors_limit_is_rejected_without_a_call(twilio: Bench) -> None:
    sender = await twilio.sender()

    outcomes = await sender.send([twilio.outgoing(content=SmsContent("x" * 1601))])

    assert outcomes == [Rejected(reason="content_too_large")]
    assert twilio.requests() == 0
