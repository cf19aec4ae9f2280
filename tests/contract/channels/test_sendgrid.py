"""One request for many: what is shared, what must be split, and who spoilt it for the others."""

import json
from collections import Counter

import pytest

from channels.base import EmailContent, Outgoing
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


async def test_thousand_recipients_of_one_content_are_one_request(sendgrid: Bench) -> None:
    sender = await sendgrid.sender()
    batch = [sendgrid.outgoing(number) for number in range(1000)]

    outcomes = await sender.send(batch)

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert sendgrid.requests() == 1
    assert accepted_ids(sendgrid) == ids(*batch)


async def test_bad_address_is_left_out_and_the_others_are_sent_once(sendgrid: Bench) -> None:
    sender = await sendgrid.sender()
    batch = [sendgrid.outgoing(number) for number in range(100)]
    batch[0] = sendgrid.outgoing(0, "not an address")
    batch[57] = sendgrid.outgoing(57, "neither@")

    outcomes = await sender.send(batch)

    assert outcomes[0] == outcomes[57] == AddressInvalid(provider_code="400")
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 98
    assert sendgrid.requests() == 3
    assert accepted_ids(sendgrid) == ids(*batch[1:57], *batch[58:])


@pytest.mark.parametrize("culprits", [{41}, {0, 31, 63}])
async def test_messages_that_spoil_a_request_without_a_word_are_found_by_halving(
    sendgrid: Bench, culprits: set[int]
) -> None:
    sender = await sendgrid.sender()
    batch = [sendgrid.outgoing(number) for number in range(64)]
    bad = [batch[number] for number in culprits]
    for message in bad:
        sendgrid.fault(effect="answer", code="400", address=message.address)
    ends: dict[bytes, Outcome] = {}

    calls = 0
    while left := [each for each in batch if each.delivery_id not in ends]:
        calls += 1
        outcomes = await sender.send(left)
        accepted = [each for each in outcomes if isinstance(each, Accepted)]
        assert len({each.provider_message_id for each in accepted}) <= 1, "the rate allows no more"
        for message, outcome in zip(left, outcomes, strict=True):
            if outcome != NotProcessed(reason="spoilt", provider_code="400"):
                ends[message.delivery_id] = outcome

    refused = {delivery_id for delivery_id, end in ends.items() if not isinstance(end, Accepted)}
    assert refused == {message.delivery_id for message in bad}
    assert {ends[message.delivery_id] for message in bad} == {Rejected(provider_code="400")}
    assert accepted_ids(sendgrid) == ids(*(each for each in batch if each not in bad))
    assert calls <= 7 * len(culprits), "each leaves out a half of those that one may be among"


async def test_a_wait_that_is_asked_for_while_halving_is_everybodys(sendgrid: Bench) -> None:
    sender = await sendgrid.sender()
    batch = [sendgrid.outgoing(number) for number in range(8)]
    sendgrid.fault(effect="answer", code="400", address=batch[0].address)
    sendgrid.fault(effect="answer", code="429", retry_after_seconds=60, address=batch[7].address)

    outcomes = await sender.send(batch)

    assert {type(outcome) for outcome in outcomes} == {NotProcessed}
    assert {o.retry_after_seconds for o in outcomes if isinstance(o, NotProcessed)} == {60.0}


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


async def test_halving_ends_with_the_timeout_and_loses_nobody(sendgrid: Bench) -> None:
    sender = await sendgrid.sender(timeout_seconds=0.5)
    batch = [sendgrid.outgoing(number) for number in range(64)]
    sendgrid.fault(effect="answer", code="400", address=batch[-1].address, delay_seconds=0.15)

    outcomes = await sender.send(batch)

    assert len(outcomes) == 64
    assert all(isinstance(outcome, NotProcessed | Unknown) for outcome in outcomes)
    assert accepted_ids(sendgrid) == ids()


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
