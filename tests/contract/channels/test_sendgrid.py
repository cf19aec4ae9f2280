"""One request for many: what is shared, what must be split, and who spoilt it for the others."""

import json
from collections import Counter
from collections.abc import Sequence

import pytest

from channels.base import EmailContent, Outgoing, Sender
from channels.email.sendgrid import SendGrid, SendGridSettings
from policies.clock import ManualClock
from schemas.ids import to_text
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
    Unknown,
)
from tests.contract.channels.conftest import Bench
from tests.contract.channels.wire import Scripted, http, serving


def accepted_ids(bench: Bench) -> Counter[str]:
    return Counter(entry.delivery_id for entry in bench.sandbox.entries())


def ids(*messages: Outgoing) -> Counter[str]:
    return Counter(to_text(message.delivery_id) for message in messages)


async def send_all(sender: Sender, batch: Sequence[Outgoing]) -> tuple[int, dict[bytes, Outcome]]:
    """As a sending stage would: what is due again at one instant goes again by one call."""
    calls = 0
    ends: dict[bytes, Outcome] = {}
    todo: list[Sequence[Outgoing]] = [batch]
    while todo:
        calls += 1
        together = todo.pop()
        again: dict[float, list[Outgoing]] = {}
        for message, outcome in zip(together, await sender.send(together), strict=True):
            if isinstance(outcome, NotProcessed):
                assert outcome.reason == "spoilt"
                again.setdefault(outcome.retry_after_seconds, []).append(message)
            else:
                ends[message.delivery_id] = outcome
        todo += again.values()
    return calls, ends


async def test_thousand_recipients_of_one_content_are_one_request(sendgrid: Bench) -> None:
    sender = await sendgrid.sender()
    batch = [sendgrid.outgoing(number) for number in range(1000)]

    outcomes = await sender.send(batch)

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert sendgrid.requests() == 1
    assert accepted_ids(sendgrid) == ids(*batch)


async def test_bad_address_is_told_of_and_the_others_go_again_together(sendgrid: Bench) -> None:
    sender = await sendgrid.sender()
    batch = [sendgrid.outgoing(number) for number in range(100)]
    batch[0] = sendgrid.outgoing(0, "not an address")
    batch[57] = sendgrid.outgoing(57, "neither@")

    calls, ends = await send_all(sender, batch)

    assert ends.pop(batch[0].delivery_id) == AddressInvalid(provider_code="400")
    assert ends.pop(batch[57].delivery_id) == AddressInvalid(provider_code="400")
    assert all(isinstance(outcome, Accepted) for outcome in ends.values())
    assert accepted_ids(sendgrid) == ids(*batch[1:57], *batch[58:])
    assert calls == sendgrid.requests() == 3, "one for each that is blamed, and one for the rest"


@pytest.mark.parametrize("culprits", [{41}, {0, 31, 63}])
async def test_messages_that_spoil_a_request_without_a_word_are_found_by_halving(
    sendgrid: Bench, culprits: set[int]
) -> None:
    sender = await sendgrid.sender()
    batch = [sendgrid.outgoing(number) for number in range(64)]
    bad = [batch[number] for number in culprits]
    for message in bad:
        sendgrid.fault(effect="answer", code="400", address=message.address)

    calls, ends = await send_all(sender, batch)

    refused = {delivery_id for delivery_id, end in ends.items() if not isinstance(end, Accepted)}
    assert refused == {message.delivery_id for message in bad}
    assert {ends[message.delivery_id] for message in bad} == {Rejected(provider_code="400")}
    assert accepted_ids(sendgrid) == ids(*(each for each in batch if each not in bad))
    assert calls == sendgrid.requests() <= 1 + 12 * len(culprits), "six times two halves for each"


async def test_mail_that_is_bad_for_everybody_is_asked_for_once(sendgrid: Bench) -> None:
    sender = await sendgrid.sender()
    content = EmailContent("subject", "")
    batch = [sendgrid.outgoing(number, content=content) for number in range(50)]

    outcomes = await sender.send(batch)

    assert outcomes == [Rejected(provider_code="400")] * 50
    assert sendgrid.requests() == 1


async def test_sender_address_that_is_none_stops_the_sender(sendgrid: Bench) -> None:
    sender = await sendgrid.sender(from_email="nobody")

    (outcome,) = await sender.send([sendgrid.outgoing()])

    assert outcome == Misconfigured(reason="bad_sender", provider_code="400")


async def test_lost_answer_leaves_the_whole_request_in_doubt(sendgrid: Bench) -> None:
    sender = await sendgrid.sender()
    batch = [sendgrid.outgoing(number) for number in range(10)]
    sendgrid.fault(effect="drop")

    outcomes = await sender.send(batch)

    assert outcomes == [Unknown(reason="connection_lost")] * 10


async def test_request_says_what_the_vendor_documents() -> None:
    scripted = Scripted(http(202, b"", "X-Message-Id: m1"))
    content = EmailContent('Say "hi"', "Grüße", "<p>Grüße</p>")
    message = Outgoing(b"d" * 16, b"n" * 16, 'u"1', "a@example.com", content, 0, round=2, attempt=3)

    async with serving(scripted) as url:
        settings = SendGridSettings(
            base_url=url, api_key="key", from_email="shop@example.com", from_name="Shop"
        )
        sender = SendGrid(settings, clock=ManualClock())
        await sender.start()
        outcomes = await sender.send([message])
        await sender.close()

    (request,) = scripted.requests
    assert outcomes == [Accepted(provider_message_id="m1")]
    assert request.path == "/v3/mail/send"
    assert request.headers["authorization"] == "bearer key"
    assert json.loads(request.body) == {
        "from": {"email": "shop@example.com", "name": "Shop"},
        "subject": 'Say "hi"',
        "content": [
            {"type": "text/plain", "value": "Grüße"},
            {"type": "text/html", "value": "<p>Grüße</p>"},
        ],
        "custom_args": {"round": "2", "attempt": "3"},
        "personalizations": [
            {
                "to": [{"email": "a@example.com"}],
                "custom_args": {
                    "delivery_id": to_text(b"d" * 16),
                    "notification_id": to_text(b"n" * 16),
                    "user_id": 'u"1',
                },
            }
        ],
    }
