"""Corner cases of the real topology: hours that nobody saw pass, and clocks that are set."""

import asyncio
from collections import Counter

from schemas.instants import rfc3339
from tests.simulation.speaking import USERS
from tests.simulation.stage import Stage


def test_workers_that_were_down_for_30_hours_lose_nothing_and_send_only_what_is_still_wanted() -> (
    None
):
    """Kafka and the outside go on meanwhile; a call that was open when they fell is in doubt."""
    stage = Stage()
    world, moods = stage.world, stage.world.carrier.moods
    hour_ms = 3_600_000

    async def story() -> None:
        moods.loses_reply = 1.0
        await stage.ask("u2", "buzz", ttl_seconds=172_800)
        await stage.until(lambda: bool(world.carrier.accepted))
        for process in world.processes:
            world.retire(process.slot)
            process.die(None)
        moods.loses_reply = 0.0

        in_ten_hours = rfc3339(world.loop.now_ms() + 10 * hour_ms)
        await stage.ask("u2", "code", ttl_seconds=600)
        for _ in range(2):
            await stage.ask("u2", "offer", "email", idempotency_key="k", ttl_seconds=172_800)
        await stage.ask("u5", "note", send_at=in_ten_hours, ttl_seconds=172_800)
        await stage.ask("u5", "invoice", "email")
        world.loop.set_clocks(by_ms=20 * hour_ms)
        await stage.ask("u2", "offer", "email", idempotency_key="k", ttl_seconds=172_800)
        world.loop.set_clocks(by_ms=10 * hour_ms)
        await stage.traffic.wish("u5", "push", enabled=False)
        await stage.ask("u5", "buzz")
        for role in world.roles:
            world.start(role, f"{role}-0")

    found = stage.play(story)

    fates = Counter(
        (each.user_id, each.type, each.status, each.reason)
        for each in found.receipts
        if each.status != "queued"
    )
    assert fates == {
        ("u2", "buzz", "in_doubt", "outcome_lost"): 2,  # a device each
        ("u2", "code", "expired", "ttl"): 1,
        ("u2", "offer", "duplicate", ""): 1,
        ("u2", "offer", "sent", ""): 2,  # twenty hours later the key was free again
        ("u5", "note", "sent", ""): 1,
        ("u5", "invoice", "expired", "ttl"): 1,
        ("u5", "buzz", "suppressed", "opted_out_channel"): 1,
    }


def test_a_clock_that_is_set_forward_lets_nobody_exceed_a_carriers_rate() -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        await asyncio.sleep(2.0)  # all tokens are there
        for user in USERS[:8]:
            await stage.ask(user, "code")
        await stage.until(lambda: len(world.carrier.accepted) == 8)
        for number in range(2):
            world.clock_of(f"sms-{number}").set(by_ms=8_000)
        for user in USERS[:8]:
            await stage.ask(user, "code")

    found = stage.play(story)

    assert len(found.acceptances) == 16
