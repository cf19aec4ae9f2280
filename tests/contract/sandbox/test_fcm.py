"""What FCM and Google's token endpoint take and refuse."""

from typing import Any

import pytest

from sandbox import credentials
from sandbox.server import Sandbox
from tests.contract.sandbox.conftest import Client, ManualClock


async def test_a_message_is_named_in_its_project(push_client: Client, sandbox: Sandbox) -> None:
    data = {"delivery_id": "d-1", "notification_id": "n-1", "attempt": "2"}

    answer = await push_client.push(data=data)

    (entry,) = sandbox.entries()
    assert answer.status == 200
    assert answer.body["name"].startswith("projects/postrider-sandbox/messages/")
    assert entry.message_id == answer.body["name"]
    assert (entry.delivery_id, entry.notification_id, entry.attempt) == ("d-1", "n-1", 2)
    assert entry.address == "device-token-1"


@pytest.mark.parametrize(
    "parts",
    [
        {"topic": "news"},  # and a token: two targets
        {"token": ""},
        {"colour": "red"},
        {"data": {"count": 1}},
        {"data": {"from": "us"}},
        {"data": {"google.c.sender": "us"}},
        {"data": {"text": "x" * 4096}},
        {"token": "", "topic": "news", "data": {"text": "x" * 2048}},
        {"android": {"ttl": "3600"}},
        {"android": {"ttl": "2419201s"}},
        {"android": {"priority": "URGENT"}},
        {"android": {}, "androidV2": {"priority": "HIGH"}},
    ],
)
async def test_a_malformed_message_is_an_invalid_argument(
    push_client: Client, sandbox: Sandbox, parts: dict[str, Any]
) -> None:
    answer = await push_client.push(**parts)

    assert answer.status == 400
    assert answer.body["error"]["status"] == "INVALID_ARGUMENT"
    assert answer.body["error"]["details"][0]["@type"].endswith("google.rpc.BadRequest")
    assert sandbox.entries() == []


async def test_a_token_that_cannot_be_one_carries_the_vendors_own_error(
    push_client: Client,
) -> None:
    answer = await push_client.push("not a token")

    details = answer.body["error"]["details"]
    assert answer.status == 400
    assert details[0] == {
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        "errorCode": "INVALID_ARGUMENT",
    }


@pytest.mark.parametrize("body", [{}, {"message": None}, [], {"message": {}, "extra": 1}])
async def test_a_body_of_another_shape_is_an_invalid_argument(
    push_client: Client, body: Any
) -> None:
    answer = await push_client.push_body(body)

    assert (answer.status, answer.body["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_a_payload_at_the_limit_is_accepted(push_client: Client) -> None:
    answer = await push_client.push(notification=None, data={"text": "x" * (4096 - 8)})

    assert answer.status == 200


async def test_validate_only_sends_nothing(push_client: Client, sandbox: Sandbox) -> None:
    body = {"message": {"token": "device-token-1"}, "validateOnly": True}

    answer = await push_client.push_body(body)

    assert answer.body["name"].endswith("/fake_message_id")
    assert sandbox.entries() == []


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [
        ("unregistered", 404, "UNREGISTERED"),
        ("SENDER_ID_MISMATCH", 403, "SENDER_ID_MISMATCH"),
        ("quota_exceeded", 429, "QUOTA_EXCEEDED"),
        ("third_party_auth_error", 401, "THIRD_PARTY_AUTH_ERROR"),
        ("500", 500, "INTERNAL"),
        ("unavailable", 503, "UNAVAILABLE"),
    ],
)
async def test_a_token_that_asks_for_a_code_gets_it(
    push_client: Client, sandbox: Sandbox, word: str, status: int, code: str
) -> None:
    answer = await push_client.push(f"fail-{word}:1")

    assert answer.status == status
    assert answer.body["error"]["details"][0]["errorCode"] == code
    assert sandbox.entries() == []


async def test_without_a_good_access_token_nothing_is_sent(
    push_client: Client, sandbox: Sandbox, clock: ManualClock
) -> None:
    clock.now += 3600
    expired = await push_client.push()
    push_client.access_token = "ya29.made-up"
    unknown = await push_client.push()

    for answer in (expired, unknown):
        assert (answer.status, answer.body["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert sandbox.entries() == []


async def test_revoked_tokens_are_refused_until_a_new_one_is_asked_for(
    push_client: Client, sandbox: Sandbox, clock: ManualClock
) -> None:
    sandbox.oauth.revoke_all()
    refused = await push_client.push()
    await push_client.token(push_client.assertion(clock.now))
    accepted = await push_client.push()

    assert (refused.status, accepted.status) == (401, 200)


async def test_another_project_is_denied(push_client: Client) -> None:
    answer = await push_client.push(project="someone-elses")

    assert (answer.status, answer.body["error"]["status"]) == (403, "PERMISSION_DENIED")


async def test_an_assertion_of_the_account_buys_a_token_for_an_hour(
    client: Client, clock: ManualClock
) -> None:
    answer = await client.token(client.assertion(clock.now))

    assert answer.status == 200
    assert (answer.body["token_type"], answer.body["expires_in"]) == ("Bearer", 3599)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "someone@else.example"},
        {"aud": "https://example.com/token"},
        {"scope": "https://www.googleapis.com/auth/drive"},
        {"iat": 1_800_000_000 - 7200, "exp": 1_800_000_000 - 3600},
        {"iat": 1_800_000_000 + 600, "exp": 1_800_000_000 + 3600},
        {"exp": 1_800_000_000 + 7200},
        {"exp": None},
    ],
)
async def test_an_assertion_with_a_wrong_claim_is_an_invalid_grant(
    client: Client, clock: ManualClock, claims: dict[str, Any]
) -> None:
    answer = await client.token(client.assertion(clock.now, **claims))

    assert (answer.status, answer.body["error"]) == (400, "invalid_grant")


async def test_an_assertion_signed_by_another_key_is_an_invalid_grant(
    client: Client, clock: ManualClock
) -> None:
    other = credentials.generate().service_account("")["private_key"]

    forged = await client.token(client.assertion(clock.now, key=other))
    rubbish = await client.token("not.a.jwt")

    assert (forged.status, forged.body["error"]) == (400, "invalid_grant")
    assert (rubbish.status, rubbish.body["error"]) == (400, "invalid_grant")


async def test_another_grant_is_not_supported(client: Client, clock: ManualClock) -> None:
    answer = await client.token(client.assertion(clock.now), grant="password")

    assert (answer.status, answer.body["error"]) == (400, "unsupported_grant_type")
