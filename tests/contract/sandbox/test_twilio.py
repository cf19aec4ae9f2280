"""What Twilio takes and refuses."""

import pytest

from sandbox.providers.twilio import segments
from sandbox.server import Sandbox
from tests.contract.sandbox.conftest import Client

SERVICE = "MG" + "0" * 32


async def test_a_message_is_created_with_its_resource(client: Client, sandbox: Sandbox) -> None:
    answer = await client.sms(Body="Your code is 1234")

    assert answer.status == 201
    assert answer.body["status"] == "queued"
    assert answer.body["sid"].startswith("SM")
    assert len(answer.body["sid"]) == 34
    (entry,) = sandbox.entries()
    assert (entry.message_id, entry.address) == (answer.body["sid"], "+14155550100")


async def test_our_ids_are_read_from_the_query_of_the_status_callback(
    client: Client, sandbox: Sandbox
) -> None:
    callback = "https://example.com/twilio?delivery_id=d-1&notification_id=n-1&round=2&attempt=4"

    await client.sms(StatusCallback=callback)

    (entry,) = sandbox.entries()
    assert (entry.delivery_id, entry.notification_id) == ("d-1", "n-1")
    assert (entry.round, entry.attempt) == (2, 4)


async def test_a_message_of_a_messaging_service_starts_as_accepted(client: Client) -> None:
    answer = await client.sms(From=None, MessagingServiceSid=SERVICE)

    assert (answer.status, answer.body["status"]) == (201, "accepted")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": None}, 21604),
        ({"To": "415 555"}, 21211),
        ({"To": "+0123456789"}, 21211),
        ({"From": None}, 21603),
        ({"From": "!"}, 21212),
        ({"From": None, "MessagingServiceSid": "MG1"}, 21701),
        ({"From": "+14155550100"}, 21266),
        ({"Body": None}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"ValidityPeriod": "0"}, 90014),
        ({"ValidityPeriod": "soon"}, 90014),
        ({"ValidityPeriod": "36001"}, 90007),
        ({"StatusCallback": "not a url"}, 21609),
        ({"To": "+15005550001"}, 21211),
        ({"To": "+15005550002"}, 21612),
        ({"To": "+15005550003"}, 21408),
        ({"To": "+15005550004"}, 21610),
        ({"To": "+15005550009"}, 21614),
        ({"From": "+15005550001"}, 21212),
        ({"From": "+15005550007"}, 21606),
        ({"From": "+15005550008"}, 21611),
        ({"To": "+15005550129"}, 20429),
        ({"To": "+15005550150"}, 20500),
        ({"To": "+15005550153"}, 20503),
    ],
)
async def test_a_broken_rule_or_a_magic_number_is_refused_with_its_code(
    client: Client, sandbox: Sandbox, fields: dict[str, str | None], code: int
) -> None:
    answer = await client.sms(**fields)

    assert answer.body["code"] == code
    assert answer.status == answer.body["status"] >= 400
    assert answer.body["more_info"].endswith(f"/{code}")
    assert sandbox.entries() == []


@pytest.mark.parametrize("fields", [{"Body": "x" * 1600}, {"ValidityPeriod": "36000"}])
async def test_a_message_at_the_limit_is_accepted(client: Client, fields: dict[str, str]) -> None:
    assert (await client.sms(**fields)).status == 201


async def test_only_the_accounts_numbers_may_send_when_they_are_listed(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.twilio.numbers = frozenset({"+14155550199"})

    ours = await client.sms()
    others = await client.sms(From="+14155550198")

    assert (ours.status, others.body["code"]) == (201, 21606)


async def test_credentials_and_account_are_checked(client: Client, sandbox: Sandbox) -> None:
    sid, token = sandbox.credentials.twilio_account_sid, sandbox.credentials.twilio_auth_token

    wrong_password = await client.sms_as(sid, "wrong", sid)
    wrong_account = await client.sms_as(sid, token, "AC" + "0" * 32)

    assert (wrong_password.status, wrong_password.body["code"]) == (401, 20003)
    assert (wrong_account.status, wrong_account.body["code"]) == (404, 20404)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("€" * 80, 1),  # two septets each
        ("€" * 81, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("😀" * 35, 1),  # two UTF-16 units each
        ("😀" * 36, 2),
    ],
)
def test_segments_are_counted_as_carriers_do(body: str, count: int) -> None:
    assert segments(body) == count
