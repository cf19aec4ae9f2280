"""The promise, on the whole pipeline: nothing lost, nothing twice unless told, an opt-out obeyed."""

import asyncio
import random
from collections import Counter
from pathlib import Path

from schemas import topics
from schemas.receipt import Receipt
from streams.embedded_kafka import EmbeddedKafka
from streams.reconcile import reconcile
from streams.topology import ROLES
from tests.acceptance.pipeline_lab import Pipeline, pipeline

USERS = 120
REQUESTS = 500
AUDIENCE = "readers"
NOW = "2026-11-24T12:00:00Z"
AT_REST = frozenset(
    {"sent", "suppressed", "rejected", "expired", "failed", "in_doubt", "cancelled"}
)


def user(number: int) -> str:
    return f"user-{number}"


async def introduce(opened: Pipeline) -> None:
    """Everybody has a mailbox, a phone and a device, and reads the same news."""
    for number in range(USERS):
        said = {"user_id": user(number), "source": "producer", "occurred_at": NOW}
        changes = [
            {"change": "recipient_updated", "email": f"u{number}@example.org",
             "phone": f"+1415555{number:04d}", "timezone": "UTC", "locale": "de"},
            {"change": "device_registered", "device_id": "phone", "platform": "android",
             "token": f"token-{number}-abcdefgh"},
            {"change": "audience_joined", "audience": AUDIENCE},
        ]  # fmt: skip
        for change in changes:
            await opened.put(topics.RECIPIENTS_CHANGED, said | change)
    # A broadcast goes to whoever is in the audience when it is expanded.
    await opened.until_handled(topics.RECIPIENTS_CHANGED, 3 * USERS)


async def ask(opened: Pipeline, number: int) -> None:
    """An order for most, a code for every fourth."""
    code = number % 4 == 0
    data = {"code": "123456"} if code else {"order_id": str(number), "total": "1 EUR"}
    await opened.put(
        topics.REQUESTED["critical" if code else "normal"],
        {
            "user_id": user(number % USERS),
            "type": "login_code" if code else "order_confirmed",
            "data": data,
            "ttl_seconds": 3600,
            "idempotency_key": f"request-{number}",
        },
    )


async def announce(opened: Pipeline) -> None:
    await opened.broadcast(
        {
            "type": "friend_joined",
            "audience": AUDIENCE,
            "data": {"friend": "Noor"},
            "idempotency_key": "news",
        }
    )


def at_rest(opened: Pipeline, notifications: int) -> bool:
    latest = opened.latest().values()
    known = {receipt.notification_id for receipt in latest}
    return len(known) >= notifications and all(is_resting(receipt) for receipt in latest)


def unrest(opened: Pipeline, notifications: int) -> str:
    """What is missing, in words."""
    latest = opened.latest().values()
    known = {receipt.notification_id for receipt in latest}
    stuck = Counter(
        (each.channel, each.type, each.status, each.reason)
        for each in latest
        if not is_resting(each)
    )
    return f"{len(known)} of {notifications} notifications are known; not at rest: {stuck}"


def is_resting(receipt: Receipt) -> bool:
    return receipt.status in AT_REST or (
        receipt.status == "deferred" and receipt.reason in {"quiet_hours", "legal_window"}
    )


async def check(opened: Pipeline, *, may_doubt: bool) -> None:
    """What producers were promised, what the providers accepted and the receipts agree."""
    balance = await reconcile(opened.config)
    assert balance.holds, balance.lines()
    accepted = opened.accepted()
    doubted = {each.delivery_id for each in opened.receipts if each.status == "in_doubt"}
    for receipt in opened.latest().values():
        times = accepted[receipt.delivery_id]
        told = receipt.delivery_id in doubted
        assert times <= 1 or told, f"{receipt} was accepted {times} times, and nobody was told"
        if receipt.status == "sent" and receipt.channel != "in_app":
            assert times >= 1, f"{receipt} is a phantom"
    assert may_doubt or not doubted, f"{len(doubted)} in doubt without a crash"


async def test_kill_9_of_any_role_loses_nothing_and_tells_every_doubt(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    randomness = random.Random(3)
    async with pipeline(kafka.bootstrap, tmp_path) as opened:
        await introduce(opened)
        load = asyncio.create_task(run_load(opened))
        while not load.done():
            await asyncio.sleep(randomness.uniform(0.7, 1.5))  # a moment nobody chose
            opened.kill(randomness.choice(ROLES))
        await load

        expected = REQUESTS + USERS
        is_at_rest = await opened.until(lambda: at_rest(opened, expected), within_seconds=60)
        assert is_at_rest, unrest(opened, expected)
        await check(opened, may_doubt=True)


async def test_a_rolling_restart_leaves_nothing_in_doubt_and_an_opt_out_is_obeyed(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with pipeline(kafka.bootstrap, tmp_path) as opened:
        await introduce(opened)
        await opened.put(
            topics.RECIPIENTS_CHANGED,
            {
                "user_id": user(1),
                "change": "preferences_updated",
                "source": "user",
                "occurred_at": NOW,
                "preferences": {"email": {"enabled": False}},
            },
        )
        load = asyncio.create_task(run_load(opened))
        codes = [await asyncio.to_thread(opened.terminate, role) for role in ROLES]
        await load

        expected = REQUESTS + USERS
        is_at_rest = await opened.until(lambda: at_rest(opened, expected), within_seconds=60)
        assert is_at_rest, unrest(opened, expected)
        await check(opened, may_doubt=False)
        assert set(codes) <= {0, -15}, f"exit codes {codes}"
        mailed = {
            receipt.user_id
            for receipt in opened.receipts
            if receipt.channel == "email" and receipt.status == "sent"
        }
        assert user(1) not in mailed
        assert user(2) in mailed


async def run_load(opened: Pipeline) -> None:
    for number in range(REQUESTS):
        await ask(opened, number)
        if number == REQUESTS // 3:
            await announce(opened)
        await asyncio.sleep(0.02)  # the load's own rhythm
