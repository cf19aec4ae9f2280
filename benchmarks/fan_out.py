"""How many recipients a second one core fans out: `python -m benchmarks.fan_out`.

The whole turn but Kafka: members scanned, profiles read and decoded, preferences and a daily
cap checked, caps counted, targets and receipts encoded. The state is in memory, so add what
your store costs for two reads a recipient.
"""

import asyncio
import time

from agents.dispatch import DispatchTerms
from agents.fan_out import FanOut
from agents.stage import Item
from policies.rules import Category, NotificationType, RateLimit, Rules
from schemas.delivery import Body, Channel
from schemas.profile import Address, ChannelWish, Choice, Device, Profile, Wishes, pack_wishes
from tables import bodies, broadcasts, memberships, recipients
from tables.broadcasts import Progress, decode_progress
from tables.state import Row
from tests.doubles import BatchOf, MemoryState, apply

MEMBERS = 50_000
NOW_MS = 1_772_366_400_000


def rules() -> Rules:
    marketing = Category(
        "marketing", lane="bulk", quiet_hours=True, daily_limit={"email": 3, "push": 2, "in_app": 9}
    )
    kind = NotificationType("promotion", marketing, ("email", "push", "in_app"))
    return Rules({kind.name: kind}, per_user={"email": RateLimit(20, 3600)})


def member(number: int) -> list[Row]:
    user_id = f"user-{number:08d}"
    zone = ("Europe/Berlin", "America/New_York", "Asia/Tokyo")[number % 3]
    wishes = {"email": ChannelWish(True, "23:00-07:00"), "sms": ChannelWish(False)}
    profile = Profile(
        name=f"Recipient {number}",
        locale="de",
        email=Address(f"recipient.{number}@example.com", number.to_bytes(16, "big")),
        phone=Address(f"+1555{number:07d}", number.to_bytes(16, "big")),
        devices=(Device("phone", f"{number:064d}", "ios", 1, number.to_bytes(16, "big")),),
        packed_wishes=pack_wishes(Wishes(zone, wishes, {"newsletter": False})),
    )
    joined = Choice(True, "import", 1)
    return [
        recipients.put(user_id, profile),
        memberships.put(memberships.key_of("all", user_id), joined),
    ]


async def fan_out(state: MemoryState, channel: Channel) -> tuple[float, int]:
    """Seconds, and recipients reached, of one broadcast to everyone."""
    terms = DispatchTerms(
        rules=rules(), partitions=8, address_key=b"k" * 32, sms_senders=(),
        cancelled=lambda ids: {},
    )  # fmt: skip
    stage = FanOut(terms=terms, is_paused=lambda body: False)
    body = Body(
        "promotion", "marketing", {"title": "Spring sale", "percent": 20}, NOW_MS + 86_400_000,
        broadcast_id=channel.encode().ljust(16, b"-"), accepted_ms=NOW_MS,
    )  # fmt: skip
    progress = Progress(bodies.id_of(body), 0, "bulk", (channel,), audience="all")
    state.apply([bodies.put(body), broadcasts.put(NOW_MS, progress)])
    spent, receipts = 0.0, 0
    while due := broadcasts.PROGRESS.due(state, NOW_MS, 1):
        key, value = due[0]
        batch = BatchOf([Item(decode_progress(value), row_key=key)], NOW_MS, state)
        begun = time.process_time()
        effects = await anext(aiter(stage.handle(batch)))
        spent += time.process_time() - begun
        receipts += sum(record.topic == "receipts" for record in effects.records)
        apply(state, effects)
    return spent, receipts


async def main() -> None:
    state = MemoryState()
    for number in range(MEMBERS):
        state.apply(member(number))
    channels: tuple[Channel, ...] = ("email", "push", "in_app")
    for channel in channels:
        seconds, reached = await fan_out(state, channel)
        each_us = seconds / reached * 1e6
        print(f"{channel:8} {reached / seconds:10,.0f} recipients/s, {each_us:.1f} us each")


if __name__ == "__main__":
    asyncio.run(main())
