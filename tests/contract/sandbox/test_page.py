"""The page and the control API."""

import asyncio
import json
import re

from sandbox.faults import FaultRule
from sandbox.feed import MAX_MESSAGES
from sandbox.server import Sandbox
from tests.contract.sandbox.conftest import Client, ManualClock


async def test_the_page_asks_nobody_else_for_anything(client: Client, sandbox: Sandbox) -> None:
    base = sandbox.url("page")
    page = await client.call("GET", base + "/")
    parts = [
        await client.call("GET", base + path)
        for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.body)
    ]

    assert [page.status, *(part.status for part in parts)] == [200, 200, 200]
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "img-src data:;" in policy
    for text in (page.body, *(part.body for part in parts)):
        assert not re.search(r"""["'(](?:https?:)?//(?!www\.w3\.org)""", text)


async def test_messages_are_shown_as_their_recipient_sees_them(
    push_client: Client, clock: ManualClock
) -> None:
    await push_client.mail(
        personalizations=[
            {
                "to": [{"email": "ann@example.com", "name": "Ann"}],
                "substitutions": {"-name-": "Ann"},
                "custom_args": {"user_id": "u-1", "delivery_id": "d-1"},
            }
        ],
        subject="Hello -name-",
        content=[
            {"type": "text/plain", "value": "Dear -name-"},
            {"type": "text/html", "value": "<p>Dear -name-"},
        ],
    )
    await push_client.sms(Body="Your code is 1234")
    await push_client.push(notification={"title": "Shipped", "body": "On its way"})

    answer = await push_client.control("GET", "/messages")

    push, sms, mail = answer.body["messages"]
    assert (push["channel"], push["title"], push["text"]) == ("push", "Shipped", "On its way")
    assert (sms["channel"], sms["to"], sms["text"]) == ("sms", "+14155550100", "Your code is 1234")
    assert (mail["title"], mail["text"], mail["html"]) == ("Hello Ann", "Dear Ann", "<p>Dear Ann")
    assert (mail["to_name"], mail["user"], mail["delivery_id"]) == ("Ann", "u-1", "d-1")
    assert mail["at_ms"] == int(clock.now * 1000)


async def test_messages_are_chosen_by_channel_user_and_limit(client: Client) -> None:
    for name in ("ann", "bob", "cid"):
        await client.mail(f"{name}@example.com")
    await client.sms()

    async def to(query: str) -> list[str]:
        answer = await client.control("GET", f"/messages?{query}")
        return [message["to"] for message in answer.body["messages"]]

    assert await to("channel=sms") == ["+14155550100"]
    assert await to("channel=email&limit=2") == ["cid@example.com", "bob@example.com"]
    assert await to("user=ann@") == ["ann@example.com"]
    assert (await client.control("GET", "/messages?limit=many")).status == 400


async def test_the_page_keeps_the_last_messages_and_a_few_of_a_batch(
    client: Client, sandbox: Sandbox
) -> None:
    await client.mail(*(f"user{n}@example.com" for n in range(1000)))
    batch = sandbox.feed.messages(channel="email")
    for number in range(MAX_MESSAGES + 1):
        await client.sms(Body=f"{number}")

    assert 0 < len(batch) < 10
    assert {message.batch for message in batch} == {1000}
    texts = [m.text for m in sandbox.feed.messages(channel="sms", limit=500)]
    assert (len(texts), texts[0], texts[-1]) == (MAX_MESSAGES, str(MAX_MESSAGES), "1")
    assert len(sandbox.entries()) == 1000 + MAX_MESSAGES + 1


async def test_stats_count_acceptances_refusals_faults_and_rate(
    client: Client, sandbox: Sandbox, clock: ManualClock
) -> None:
    await client.mail("ann@example.com", "bob@example.com")
    await client.mail("nobody")
    sandbox.fault(FaultRule(effect="answer", code="503", first=1))
    await client.mail("ann@example.com")
    clock.now += 1

    answer = await client.control("GET", "/stats")

    assert answer.body["providers"]["sendgrid"] == {
        "requests": 3,
        "accepted": 2,
        "unanswered": 0,
        "rate": 0.4,
        "refused": {"400": 1, "503": 1},
        "faults": {"answer": 1},
    }


async def test_an_open_page_is_told_what_is_new(client: Client, sandbox: Sandbox) -> None:
    await client.sms(Body="before")
    url = sandbox.url("page") + "/_sandbox/events"
    async with asyncio.timeout(10), client.session.get(url) as response:
        first = json.loads((await response.content.readline()).removeprefix(b"data: "))
        await client.sms(Body="after")
        texts: list[str] = []
        while not texts:
            line = await response.content.readline()
            if line.startswith(b"data: "):
                event = json.loads(line.removeprefix(b"data: "))
                texts = [message["text"] for message in event["messages"]]

    assert first["messages"] == []
    assert texts == ["after"]
    assert event["providers"]["twilio"]["accepted"] == 2


async def test_faults_are_added_listed_and_removed(client: Client) -> None:
    added = await client.control("POST", "/faults", json=[{"effect": "answer", "code": "503"}])
    (rule,) = added.body["ids"]
    hit = await client.mail("ann@example.com")
    listed = await client.control("GET", "/faults")
    removed = await client.control("DELETE", f"/faults/{rule}")
    missing = await client.control("DELETE", f"/faults/{rule}")
    after = await client.mail("ann@example.com")

    assert (added.status, hit.status, after.status) == (201, 503, 202)
    assert (listed.body["faults"][0]["seen"], listed.body["faults"][0]["hits"]) == (1, 1)
    assert (removed.body, missing.status) == ({"removed": 1}, 404)


async def test_a_script_with_a_mistake_changes_nothing(client: Client) -> None:
    script = {"faults": [{"effect": "answer"}, {"effect": "explode"}]}

    answer = await client.control("POST", "/faults", json=script)

    assert answer.status == 400
    assert "explode" in answer.body["error"]
    assert (await client.control("DELETE", "/faults")).body == {"removed": 0}


async def test_a_port_is_closed_and_opened_over_the_control_api(client: Client) -> None:
    closed = await client.control("PUT", "/listeners/twilio", json={"open": False})
    unknown = await client.control("PUT", "/listeners/pigeon", json={"open": False})
    malformed = await client.control("PUT", "/listeners/twilio", json={"open": "no"})
    opened = await client.control("PUT", "/listeners/twilio", json={"open": True})

    assert closed.body == {"provider": "twilio", "open": False}
    assert (unknown.status, malformed.status, opened.status) == (404, 400, 200)
    assert (await client.sms()).status == 201
