"""What SendGrid takes and refuses."""

import io
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.contract.sandbox.conftest import Client, ManualClock


def personalization(to: str = "ann@example.com", **parts: Any) -> dict[str, Any]:
    return {"to": [{"email": to}]} | parts


async def test_a_mail_is_accepted_with_a_message_id_and_an_empty_body(client: Client) -> None:
    answer = await client.mail("ann@example.com")

    assert (answer.status, answer.body) == (202, "")
    assert answer.headers["X-Message-Id"]


async def test_a_batch_is_one_entry_a_recipient_with_its_own_ids(
    client: Client, sandbox: Sandbox, clock: ManualClock
) -> None:
    answer = await client.mail(
        personalizations=[
            personalization(
                "ann@example.com", custom_args={"delivery_id": "d-1", "notification_id": "n-1"}
            ),
            personalization("bob@example.com", custom_args={"delivery_id": "d-2"}),
        ],
        custom_args={"notification_id": "n-0", "round": "1", "attempt": "3"},
    )

    ann, bob = sandbox.entries()
    assert (ann.delivery_id, ann.notification_id, ann.address) == ("d-1", "n-1", "ann@example.com")
    assert (bob.delivery_id, bob.notification_id, bob.address) == ("d-2", "n-0", "bob@example.com")
    assert (ann.round, ann.attempt, ann.status, ann.is_answered) == (1, 3, 202, True)
    assert ann.message_id == bob.message_id == answer.headers["X-Message-Id"]
    assert ann.at_ms == int(clock.now * 1000)


async def test_body_hashes_tell_apart_what_recipients_were_sent(
    client: Client, sandbox: Sandbox
) -> None:
    people = [
        personalization("ann@example.com", substitutions={"-name-": "Ann"}),
        personalization("bob@example.com", substitutions={"-name-": "Bob"}),
        personalization("cid@example.com", substitutions={"-name-": "Ann"}),
    ]

    await client.mail(personalizations=people)

    ann, bob, cid = (entry.body_hash for entry in sandbox.entries())
    assert ann == cid != bob


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        ({"personalizations": [personalization("nobody")]}, "personalizations.0.to.0.email"),
        (
            {"personalizations": [personalization(cc=[{"email": "a b@example.com"}])]},
            "personalizations.0.cc.0.email",
        ),
        ({"from": {"email": "shop"}}, "from.email"),
        ({"from": {}}, "from.email"),
        ({"subject": ""}, "subject"),
        ({"content": []}, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
        (
            {
                "content": [
                    {"type": "text/html", "value": "<p>x"},
                    {"type": "text/plain", "value": "x"},
                ]
            },
            "content",
        ),
        ({"categories": ["a", "a"]}, "categories"),
        ({"categories": [str(n) for n in range(11)]}, "categories"),
        ({"headers": {"Subject": "other"}}, "headers.subject"),
        ({"send_at": 1_800_000_000 + 72 * 3600 + 1}, "send_at"),
        (
            {"personalizations": [personalization(custom_args={"a": "x" * 10_000})]},
            "personalizations.0.custom_args",
        ),
        (
            {"personalizations": [personalization(custom_args={"a": 1})]},
            "personalizations.0.custom_args",
        ),
        (
            {"personalizations": [personalization(substitutions={"a": "x" * 10_000})]},
            "personalizations.0.substitutions",
        ),
    ],
)
async def test_a_broken_rule_refuses_the_mail_and_names_the_field(
    client: Client, sandbox: Sandbox, parts: dict[str, Any], field: str
) -> None:
    answer = await client.mail("ann@example.com", **parts)

    assert answer.status == 400
    assert answer.body["errors"][0]["field"] == field
    assert sandbox.entries() == []


async def test_an_address_twice_refuses_everybody_of_the_request(
    client: Client, sandbox: Sandbox
) -> None:
    answer = await client.mail("ann@example.com", "bob@example.com", "ANN@example.com")

    assert answer.status == 400
    assert "ann@example.com" in answer.body["errors"][0]["message"]
    assert sandbox.entries() == []


@pytest.mark.parametrize(("recipients", "status"), [(1000, 202), (1001, 400)])
async def test_a_request_has_at_most_a_thousand_personalizations(
    client: Client, recipients: int, status: int
) -> None:
    answer = await client.mail(*(f"user{n}@example.com" for n in range(recipients)))

    assert answer.status == status


async def test_copies_count_as_recipients(client: Client) -> None:
    copies = [{"email": f"user{n}@example.com"} for n in range(1000)]

    answer = await client.mail(personalizations=[personalization(bcc=copies)])

    assert answer.status == 400
    assert "1000 total recipients" in answer.body["errors"][0]["message"]


async def test_a_request_over_30_mb_is_too_large(client: Client, sandbox: Sandbox) -> None:
    headers = {
        "Authorization": f"Bearer {sandbox.credentials.sendgrid_api_key}",
        "Content-Type": "application/json",
    }
    body = io.BytesIO(b" " * (30 * 1024 * 1024 + 1))

    answer = await client.call(
        "POST", sandbox.url("sendgrid") + "/v3/mail/send", headers=headers, data=body
    )

    assert answer.status == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer SG.wrong"}, 401),
        ({"Authorization": "Basic abc"}, 401),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
async def test_a_call_with_wrong_headers_is_refused(
    client: Client, headers: dict[str, str], status: int
) -> None:
    answer = await client.mail("ann@example.com", http=headers)

    assert answer.status == status
    assert answer.body["errors"]


async def test_other_paths_methods_and_bodies_are_refused_in_the_vendors_form(
    client: Client, sandbox: Sandbox
) -> None:
    base = sandbox.url("sendgrid")
    headers = {
        "Authorization": f"Bearer {sandbox.credentials.sendgrid_api_key}",
        "Content-Type": "application/json",
    }

    answers = [
        await client.call("GET", base + "/v3/mail/send", headers=headers),
        await client.call("POST", base + "/v3/mail/other", headers=headers),
        await client.call("POST", base + "/v3/mail/send", headers=headers, data=b"{"),
        await client.call("POST", base + "/v3/mail/send", headers=headers, data=b"[]"),
    ]

    assert [answer.status for answer in answers] == [405, 404, 400, 400]
    assert all(answer.body["errors"] for answer in answers)


async def test_rate_limit_headers_count_down_to_429_and_reset_with_the_second(
    client: Client, sandbox: Sandbox, clock: ManualClock
) -> None:
    sandbox.sendgrid.requests_per_second = 2

    first, second, third = [await client.mail("ann@example.com") for _ in range(3)]
    clock.now += 1
    fourth = await client.mail("ann@example.com")

    assert [a.status for a in (first, second, third, fourth)] == [202, 202, 429, 202]
    remaining = [a.headers["X-RateLimit-Remaining"] for a in (first, second, third, fourth)]
    assert remaining == ["1", "0", "0", "1"]
    assert third.headers["X-RateLimit-Limit"] == "2"
    assert third.headers["X-RateLimit-Reset"] == str(1_800_000_001)


async def test_sandbox_mode_judges_the_mail_and_sends_nothing(
    client: Client, sandbox: Sandbox
) -> None:
    settings = {"sandbox_mode": {"enable": True}}

    good = await client.mail("ann@example.com", mail_settings=settings)
    bad = await client.mail("nobody", mail_settings=settings)

    assert (good.status, bad.status) == (200, 400)
    assert sandbox.entries() == []
