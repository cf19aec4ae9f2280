"""What every sender must do, whatever its provider's wire looks like."""

import asyncio

import pytest

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

ANSWERS: list[tuple[str, str, type[Outcome], str]] = [
    # provider, what it answers, the outcome, the code on the receipt
    ("sendgrid", "400", Rejected, "400"),
    ("sendgrid", "401", Misconfigured, "401"),
    ("sendgrid", "403", Misconfigured, "403"),
    ("sendgrid", "413", Rejected, "413"),
    ("sendgrid", "429", NotProcessed, "429"),
    ("sendgrid", "500", Unknown, "500"),
    ("sendgrid", "503", Unknown, "503"),
    ("twilio", "20003", Misconfigured, "20003"),
    ("twilio", "20404", Misconfigured, "20404"),
    ("twilio", "21408", Misconfigured, "21408"),
    ("twilio", "21606", Misconfigured, "21606"),
    ("twilio", "21701", Misconfigured, "21701"),
    ("twilio", "21211", AddressInvalid, "21211"),
    ("twilio", "21610", AddressInvalid, "21610"),
    ("twilio", "21614", AddressInvalid, "21614"),
    ("twilio", "21635", AddressInvalid, "21635"),
    ("twilio", "21612", Rejected, "21612"),
    ("twilio", "21617", Rejected, "21617"),
    ("twilio", "21266", Rejected, "21266"),  # a code that the table does not name: by the status
    ("twilio", "20429", NotProcessed, "20429"),
    ("twilio", "21611", NotProcessed, "21611"),
    ("twilio", "30022", NotProcessed, "30022"),
    ("twilio", "63017", NotProcessed, "63017"),
    ("twilio", "20500", Unknown, "20500"),
    ("twilio", "20503", Unknown, "20503"),
    ("fcm", "INVALID_ARGUMENT", AddressInvalid, "INVALID_ARGUMENT"),
    ("fcm", "THIRD_PARTY_AUTH_ERROR", Misconfigured, "THIRD_PARTY_AUTH_ERROR"),
    ("fcm", "401", Misconfigured, "401"),
    ("fcm", "SENDER_ID_MISMATCH", AddressInvalid, "SENDER_ID_MISMATCH"),
    ("fcm", "UNREGISTERED", AddressInvalid, "UNREGISTERED"),
    ("fcm", "QUOTA_EXCEEDED", NotProcessed, "QUOTA_EXCEEDED"),
    ("fcm", "INTERNAL", Unknown, "INTERNAL"),
    ("fcm", "UNAVAILABLE", Unknown, "UNAVAILABLE"),
]
SECRETS = {"sendgrid": "api_key", "twilio": "auth_token"}


async def test_sender_gets_a_message_accepted_under_our_ids(bench: Bench) -> None:
    sender = await bench.sender()
    message = bench.outgoing()

    (outcome,) = await sender.send([message])

    (entry,) = bench.entries(message)
    assert outcome == Accepted(provider_message_id=entry.message_id)
    assert entry.address == message.address
    assert (entry.round, entry.attempt) == (message.round, message.attempt)


async def test_sender_is_what_the_catalogue_says(bench: Bench) -> None:
    sender = await bench.sender()

    assert sender.provider == bench.provider
    assert sender.timeout_seconds == bench.settings.timeout_seconds


@pytest.mark.parametrize(("bench", "code", "outcome", "provider_code"), ANSWERS, indirect=["bench"])
async def test_sender_knows_what_an_answer_means(
    bench: Bench, code: str, outcome: type[Outcome], provider_code: str
) -> None:
    sender = await bench.sender()
    bench.fault(effect="answer", code=code)

    (answer,) = await sender.send([bench.outgoing()])

    assert type(answer) is outcome
    assert answer.provider_code == provider_code
    assert not bench.sandbox.entries()


async def test_throttled_sender_waits_as_long_as_it_is_told(bench: Bench) -> None:
    sender = await bench.sender()
    bench.fault(effect="answer", code="429", retry_after_seconds=70)

    (outcome,) = await sender.send([bench.outgoing()])

    assert isinstance(outcome, NotProcessed)
    assert (outcome.reason, outcome.retry_after_seconds) == ("throttled", 70.0)
    assert not outcome.consumes_attempt


@pytest.mark.parametrize(
    ("bench", "least_seconds", "most_seconds"),
    [("sendgrid", 0, 1), ("twilio", 0, 0), ("fcm", 60, 60)],  # SendGrid names the window's end
    indirect=["bench"],
)
async def test_throttled_sender_that_is_told_no_time_waits_as_documented(
    bench: Bench, least_seconds: float, most_seconds: float
) -> None:
    sender = await bench.sender()
    bench.fault(effect="answer", code="429")

    (outcome,) = await sender.send([bench.outgoing()])

    assert isinstance(outcome, NotProcessed)
    assert least_seconds <= outcome.retry_after_seconds <= most_seconds


async def test_hanging_provider_leaves_an_accepted_message_in_doubt(bench: Bench) -> None:
    sender = await bench.sender(timeout_seconds=0.6)
    bench.fault(effect="hang")
    message = bench.outgoing()

    (outcome,) = await sender.send([message])

    assert outcome == Unknown(reason="timeout")
    assert len(bench.entries(message)) == 1


async def test_answer_that_takes_too_long_leaves_an_accepted_message_in_doubt(bench: Bench) -> None:
    sender = await bench.sender(timeout_seconds=0.6)
    bench.fault(effect="slow", delay_seconds=0.2)
    message = bench.outgoing()

    (outcome,) = await sender.send([message])

    assert outcome == Unknown(reason="timeout")
    assert len(bench.entries(message)) == 1


async def test_connection_dropped_after_acceptance_leaves_a_message_in_doubt(bench: Bench) -> None:
    sender = await bench.sender()
    bench.fault(effect="drop")
    message = bench.outgoing()

    (outcome,) = await sender.send([message])

    assert outcome == Unknown(reason="connection_lost")
    assert len(bench.entries(message)) == 1


async def test_connection_reset_before_an_answer_is_in_doubt_although_nothing_was_sent(
    bench: Bench,
) -> None:
    sender = await bench.sender()
    bench.fault(effect="refuse")
    message = bench.outgoing()

    (outcome,) = await sender.send([message])

    assert outcome == Unknown(reason="connection_lost")
    assert not bench.entries(message)


async def test_late_answer_within_the_timeout_is_an_answer(bench: Bench) -> None:
    sender = await bench.sender()
    bench.fault(effect="delay", delay_seconds=0.1)

    (outcome,) = await sender.send([bench.outgoing()])

    assert isinstance(outcome, Accepted)


async def test_refused_connection_is_safe_to_retry_and_the_sender_recovers(bench: Bench) -> None:
    sender = await bench.sender()
    await bench.sandbox.listen(bench.provider, False)

    down = await sender.send([bench.outgoing()])
    await bench.sandbox.listen(bench.provider, True)
    (up,) = await sender.send([bench.outgoing()])

    assert down == [NotProcessed(consumes_attempt=True, reason="unreachable")]
    assert isinstance(up, Accepted)
    assert len(bench.entries(bench.outgoing())) == 1


async def test_wrong_credentials_stop_the_sender_and_keep_the_message(bench: Bench) -> None:
    if bench.provider == "fcm":
        bench.sandbox.oauth.client_email = "somebody.else@example.com"
        sender = await bench.sender()
    else:
        sender = await bench.sender(**{SECRETS[bench.provider]: "wrong"})

    (outcome,) = await sender.send([bench.outgoing()])

    assert isinstance(outcome, Misconfigured)
    assert outcome.reason == "bad_credentials"


async def test_concurrent_sends_do_not_get_each_others_answers(bench: Bench) -> None:
    sender = await bench.sender(connections=4)
    messages = [bench.outgoing(number) for number in range(1, 41)]

    answers = await asyncio.gather(*(sender.send([message]) for message in messages))

    for message, (outcome,) in zip(messages, answers, strict=True):
        (entry,) = bench.entries(message)
        assert outcome == Accepted(provider_message_id=entry.message_id)


async def test_sender_that_was_never_started_can_be_closed_twice(bench: Bench) -> None:
    sender = await bench.sender()
    await sender.close()

    await sender.close()


async def test_settings_do_not_show_their_secrets(bench: Bench) -> None:
    shown = repr(bench.settings)

    assert "api_key='" not in shown
    assert "auth_token=" not in shown
    assert "PRIVATE KEY" not in shown
