"""Faults by rule and by address: what happens to the message, and what the client sees."""

import asyncio
import time
from pathlib import Path

import aiohttp
import msgspec
import pytest

from sandbox.faults import FaultRule, FaultScript, parse_script, read_script
from sandbox.ledger import Refused
from sandbox.server import Sandbox
from tests.contract.sandbox.conftest import Client, ManualClock, eventually


def refusals(sandbox: Sandbox) -> list[Refused]:
    (file,) = sandbox.ledger_dir.glob("refused-*.jsonl")
    return msgspec.json.Decoder(Refused).decode_lines(file.read_bytes())


async def test_an_answer_fault_refuses_in_the_vendors_words(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.fault(
        FaultRule(effect="answer", provider="twilio", code="20429", retry_after_seconds=7)
    )

    refused = await client.sms()
    other = await client.mail("ann@example.com")

    assert (refused.status, refused.body["code"]) == (429, 20429)
    assert refused.headers["Retry-After"] == "7"
    assert other.status == 202
    assert [entry.provider for entry in sandbox.entries()] == ["sendgrid"]
    (line,) = refusals(sandbox)
    assert (line.provider, line.status, line.again_ms - line.at_ms) == ("twilio", 429, 7000)
    assert line.addresses == ["+14155550100"]


async def test_a_call_that_is_reset_or_that_the_vendor_itself_refuses_is_noted_as_refused(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.fault(FaultRule(effect="refuse", provider="sendgrid"))

    with pytest.raises(aiohttp.ClientError):
        await client.mail("ann@example.com")
    unknown = await client.sms(To="nobody")

    assert unknown.status == 400
    assert [(each.provider, each.status) for each in refusals(sandbox)] == [
        ("sendgrid", 0),
        ("twilio", 400),
    ]


async def test_a_429_may_come_without_retry_after(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault(FaultRule(effect="answer", code="429"))

    answer = await client.mail("ann@example.com")

    assert answer.status == 429
    assert "Retry-After" not in answer.headers


async def test_an_answer_fault_may_accept_the_message_nevertheless(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.fault(FaultRule(effect="answer", code="500", accept=True))

    answer = await client.mail("ann@example.com")

    (entry,) = sandbox.entries()
    assert answer.status == entry.status == 500
    assert entry.is_answered


async def test_a_dropped_reply_leaves_an_unanswered_entry(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault(FaultRule(effect="drop", first=1))

    with pytest.raises(aiohttp.ClientError):
        await client.mail("ann@example.com")
    answered = await client.mail("bob@example.com")

    ann, bob = sandbox.entries()
    assert answered.status == 202
    assert (ann.address, ann.is_answered) == ("ann@example.com", False)
    assert (bob.address, bob.is_answered) == ("bob@example.com", True)
    assert sandbox.feed.stats("sendgrid").unanswered == 1


async def test_a_refused_request_leaves_no_entry(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault(FaultRule(effect="refuse"))

    with pytest.raises(aiohttp.ClientError):
        await client.mail("ann@example.com")

    assert sandbox.entries() == []


async def test_a_hanging_provider_never_answers_what_it_accepted(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.fault(FaultRule(effect="hang"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.mail("ann@example.com")

    (entry,) = sandbox.entries()
    assert not entry.is_answered


async def test_a_delayed_reply_comes_after_the_delay(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault(FaultRule(effect="delay", delay_seconds=(0.1, 0.15)))
    started = time.monotonic()

    answer = await client.mail("ann@example.com")

    assert answer.status == 202
    assert time.monotonic() - started >= 0.1
    assert sandbox.entries()[0].is_answered


async def test_a_client_that_gives_up_before_the_delay_leaves_an_unanswered_entry(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.fault(FaultRule(effect="delay", delay_seconds=30))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.mail("ann@example.com")
    await eventually(lambda: not sandbox.entries()[0].is_answered)

    assert sandbox.feed.stats("sendgrid").unanswered == 1


async def test_a_slow_reply_is_whole_in_the_end(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault(FaultRule(effect="slow", delay_seconds=0.0005))

    answer = await client.sms()

    assert answer.status == 201
    assert answer.body["status"] == "queued"


async def test_a_refusal_of_the_vendor_comes_before_any_fault(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.fault(FaultRule(effect="answer", code="503"))

    assert (await client.mail("nobody")).status == 400


async def test_a_rule_may_speak_of_some_addresses_only(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault(FaultRule(effect="answer", address="*@slow.example", code="503"))

    hit = await client.mail("ann@example.com", "bob@slow.example")
    missed = await client.mail("ann@example.com")

    assert (hit.status, missed.status) == (503, 202)


async def test_a_rule_ends_after_its_first_hits(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault(FaultRule(effect="answer", first=2))

    statuses = [(await client.mail("ann@example.com")).status for _ in range(3)]

    assert statuses == [503, 503, 202]


async def test_a_rule_holds_within_its_window(
    client: Client, sandbox: Sandbox, clock: ManualClock
) -> None:
    sandbox.fault(FaultRule(effect="answer", after_seconds=10, for_seconds=5))
    statuses = []

    for seconds in (9, 1, 4, 1):  # at 9, 10, 14 and 15 seconds
        clock.now += seconds
        statuses.append((await client.mail("ann@example.com")).status)

    assert statuses == [202, 503, 503, 202]


async def test_a_share_is_hit_by_the_seed_and_nothing_else(
    client: Client, sandbox: Sandbox
) -> None:
    async def statuses(seed: int) -> list[int]:
        sandbox.faults.remove()
        sandbox.fault(FaultRule(effect="answer", share=0.5), seed=seed)
        return [(await client.mail("ann@example.com")).status for _ in range(40)]

    first, again, other = await statuses(1), await statuses(1), await statuses(2)

    assert first == again != other
    assert 8 <= first.count(503) <= 32


async def test_a_removed_rule_does_nothing_more(client: Client, sandbox: Sandbox) -> None:
    rule = sandbox.fault(FaultRule(effect="answer"))
    sandbox.fault(FaultRule(effect="answer", provider="twilio", code="500"))

    assert sandbox.faults.remove(rule) == 1

    assert (await client.mail("ann@example.com")).status == 202
    assert (await client.sms()).status == 500


@pytest.mark.parametrize("word", ["503", "429", "500"])
async def test_an_address_asks_for_its_own_status(
    client: Client, sandbox: Sandbox, word: str
) -> None:
    answer = await client.mail("ann@example.com", f"fail-{word}@example.com")

    assert answer.status == int(word)
    assert sandbox.entries() == []


async def test_an_invalid_address_is_named_so_that_a_batch_can_go_on_without_it(
    client: Client,
) -> None:
    answer = await client.mail("ann@example.com", "fail-invalid@example.com")

    assert answer.status == 400
    assert answer.body["errors"][0]["field"] == "personalizations.1.to.0.email"


async def test_an_address_that_only_looks_like_a_fault_is_an_ordinary_one(
    client: Client, sandbox: Sandbox
) -> None:
    answer = await client.mail("fail-safe@example.com", "fail@example.com")

    assert answer.status == 202
    assert len(sandbox.entries()) == 2


async def test_numbers_and_tokens_ask_for_lost_replies_too(
    push_client: Client, sandbox: Sandbox
) -> None:
    with pytest.raises(aiohttp.ClientError):
        await push_client.sms(To="+15005550190")
    with pytest.raises(aiohttp.ClientError):
        await push_client.push("fail-drop:1")

    assert [entry.is_answered for entry in sandbox.entries()] == [False, False]


async def test_the_token_endpoint_fails_on_its_own(
    push_client: Client, sandbox: Sandbox, clock: ManualClock
) -> None:
    sandbox.fault(FaultRule(effect="answer", provider="google-oauth", code="503"))

    refused = await push_client.token(push_client.assertion(clock.now))

    assert refused.status == 503
    assert (await push_client.push()).status == 200


async def test_a_closed_port_refuses_connections_until_it_is_opened(
    client: Client, sandbox: Sandbox
) -> None:
    url = sandbox.url("sendgrid")
    assert (await client.mail("ann@example.com")).status == 202

    await sandbox.listen("sendgrid", False)
    with pytest.raises(aiohttp.ClientError):  # the connection that was open is reset
        await client.mail("ann@example.com")
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.mail("ann@example.com")
    assert (await client.sms()).status == 201
    await sandbox.listen("sendgrid", True)

    assert sandbox.url("sendgrid") == url
    assert (await client.mail("ann@example.com")).status == 202


def test_a_script_is_read_from_yaml(tmp_path: Path) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text(
        "seed: 7\nfaults:\n"
        "  - {provider: fcm, effect: delay, delay_seconds: [0.1, 0.4], share: 0.2}\n"
    )

    assert read_script(script) == FaultScript(
        [FaultRule(provider="fcm", effect="delay", delay_seconds=(0.1, 0.4), share=0.2)], 7
    )


def test_a_script_may_be_a_bare_list_in_json() -> None:
    assert parse_script(b'[{"effect": "drop"}]') == FaultScript([FaultRule(effect="drop")])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[{effect: explode}]", "effect"),
        ("[{effect: drop, shre: 0.5}]", "shre"),
        ("[{effect: drop, share: 1.5}]", "share"),
        ("[{provider: fcm}]", "effect"),
        ("seed: [", "not a fault script"),
    ],
)
def test_a_mistake_in_a_script_is_named(text: str, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        parse_script(text.encode())
