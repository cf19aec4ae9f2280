"""Access tokens, and what a push message's body says."""

import asyncio
import json

import pytest

from channels.base import Outgoing, PushContent
from channels.push.fcm import Fcm, FcmSettings
from policies.clock import ManualClock
from schemas.ids import to_text
from schemas.outcome import Accepted, Misconfigured, NotProcessed, Rejected
from tests.contract.channels.conftest import Bench
from tests.contract.channels.wire import Scripted, http, serving

NOW_MS = 1_767_225_600_000


def token_requests(bench: Bench) -> int:
    return bench.sandbox.feed.stats("google-oauth").requests


async def test_token_is_fetched_once_for_everybody(fcm: Bench) -> None:
    sender = await fcm.sender()

    answers = await asyncio.gather(*(sender.send([fcm.outgoing(n)]) for n in range(50)))

    assert all(isinstance(outcome, Accepted) for (outcome,) in answers)
    assert token_requests(fcm) == 1


async def test_refused_token_is_fetched_anew_once_and_the_message_sent_again(fcm: Bench) -> None:
    sender = await fcm.sender()
    await sender.send([fcm.outgoing(0)])
    fcm.sandbox.oauth.revoke_all()

    answers = await asyncio.gather(*(sender.send([fcm.outgoing(n)]) for n in range(1, 20)))

    assert all(isinstance(outcome, Accepted) for (outcome,) in answers)
    assert token_requests(fcm) == 2
    assert len(fcm.sandbox.entries()) == 20


async def test_token_that_is_refused_again_stops_the_sender(fcm: Bench) -> None:
    sender = await fcm.sender()
    fcm.fault(effect="answer", code="401")

    (outcome,) = await sender.send([fcm.outgoing()])

    assert outcome == Misconfigured(provider_code="401")
    assert fcm.requests() == 2


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("400", Misconfigured(provider_code="oauth_400")),
        ("401", Misconfigured(provider_code="oauth_401")),
        ("429", NotProcessed(provider_code="oauth_429")),
        (
            "503",
            NotProcessed(consumes_attempt=True, reason="server_error", provider_code="oauth_503"),
        ),
    ],
)
async def test_no_token_no_message(fcm: Bench, code: str, outcome: object) -> None:
    sender = await fcm.sender()
    fcm.fault(provider="google-oauth", effect="answer", code=code)

    answers = await asyncio.gather(*(sender.send([fcm.outgoing(n)]) for n in range(5)))

    assert answers == [[outcome]] * 5
    assert fcm.requests() == 0
    assert token_requests(fcm) == 1


async def test_lost_answer_of_the_token_endpoint_leaves_no_message_in_doubt(fcm: Bench) -> None:
    async with serving(hang) as url:
        sender = await fcm.sender(token_uri=url, timeout_seconds=0.5)

        (outcome,) = await sender.send([fcm.outgoing()])

    assert outcome == NotProcessed(consumes_attempt=True, reason="unreachable")


async def test_send_that_is_cancelled_does_not_take_the_token_from_the_others(fcm: Bench) -> None:
    sender = await fcm.sender()
    first = asyncio.ensure_future(sender.send([fcm.outgoing(1)]))
    second = asyncio.ensure_future(sender.send([fcm.outgoing(2)]))
    await asyncio.sleep(0)  # both wait for the token now

    first.cancel()

    (outcome,) = await second
    assert isinstance(outcome, Accepted)
    assert token_requests(fcm) == 1


async def test_payload_beyond_the_vendors_limit_is_rejected_without_a_call(fcm: Bench) -> None:
    sender = await fcm.sender()

    outcomes = await sender.send([fcm.outgoing(content=PushContent("t", "x" * 4096))])

    assert outcomes == [Rejected(reason="content_too_large")]
    assert fcm.requests() == 0


async def test_payload_that_the_vendor_refuses_is_the_messages_fault(fcm: Bench) -> None:
    sender = await fcm.sender()

    (outcome,) = await sender.send([fcm.outgoing(content=PushContent("t", "b", {"from": "x"}))])

    assert outcome == Rejected(provider_code="400")


@pytest.mark.parametrize(
    ("collapse_key", "tag", "android"),
    [
        ("", to_text(b"n" * 16), {}),
        ("score", "score", {"collapseKey": "score"}),
        ("x" * 65, None, {"collapseKey": "x" * 65}),  # a digest, since Apple takes 64 bytes
    ],
)
async def test_body_says_what_the_vendor_documents(
    fcm: Bench, collapse_key: str, tag: str | None, android: dict[str, str]
) -> None:
    scripted = Scripted(
        http(200, b'{"access_token": "ya29", "expires_in": 3599}'), http(200, b'{"name": "p/1"}')
    )
    content = PushContent("Title", "Body", {"order": "7"}, "https://example.com/i.png")
    message = Outgoing(
        b"d" * 16, b"n" * 16, "u1", "device", content, NOW_MS + 90_500, collapse_key, round=1
    )

    async with serving(scripted) as url:
        account = json.dumps(fcm.sandbox.service_account())
        settings = FcmSettings(base_url=url, service_account=account, token_uri=url + "/token")
        sender = Fcm(settings, clock=ManualClock(NOW_MS))
        await sender.start()
        outcomes = await sender.send([message])
        await sender.close()

    assert outcomes == [Accepted(provider_message_id="p/1")]
    request = scripted.requests[1]
    assert request.path == "/v1/projects/postrider-sandbox/messages:send"
    assert request.headers["authorization"] == "bearer ya29"
    body = json.loads(request.body)["message"]
    shown = body["android"]["notification"]["tag"]
    assert len(shown) <= 64
    assert shown == (tag or shown)
    assert body == {
        "token": "device",
        "notification": {
            "title": "Title",
            "body": "Body",
            "image": "https://example.com/i.png",
        },
        "data": {
            "order": "7",
            "delivery_id": to_text(b"d" * 16),
            "notification_id": to_text(b"n" * 16),
            "round": "1",
            "attempt": "1",
        },
        "android": {"ttl": "90s", "notification": {"tag": shown}, **android},
        "apns": {
            "headers": {
                "apns-expiration": str((NOW_MS + 90_500) // 1000),
                "apns-collapse-id": shown,
            }
        },
    }


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"project_id": 1}'])
def test_service_account_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="service_account"):
        Fcm(FcmSettings(service_account=text), clock=ManualClock())


def test_private_key_that_is_none_is_refused() -> None:
    account = {"project_id": "p", "client_email": "e@example.com", "private_key": "rubbish"}

    with pytest.raises(ValueError, match="service_account: private_key"):
        Fcm(FcmSettings(service_account=json.dumps(account)), clock=ManualClock())


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
