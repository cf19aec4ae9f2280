"""What `Send` costs by itself: planning, rendering, ledger rows and receipts, with a provider
that answers at once and a state in memory.

    python -m benchmarks.send

Kafka, RocksDB and the wire are not in it: this is the part that only this stage can make slow.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agents.pace import WorkerPace
from agents.receipts import ReceiptWriter
from agents.send import Send
from agents.settlement import Terms
from agents.stage import Item
from channels.base import Outgoing
from channels.rendering import Rendering
from channels.templates import Templates
from policies.clock import SystemClock
from policies.rules import Category, NotificationType, Rules
from policies.stops import StopList
from schemas.delivery import CHANNELS, Body, Channel, DeliveryBatch, Target
from schemas.outcome import Accepted, Outcome
from tests.doubles import BatchOf, MemoryState, apply

RECIPIENTS = 1000
ROUNDS = 30
TEMPLATES = {
    "email.subject": "News",
    "email.text": "It is {{ data.weather }}.",
    "push.title": "News",
    "push.body": "It is {{ data.weather }}.",
}


class Nothing:
    """A provider that takes everything at once."""

    provider = "nothing"
    timeout_seconds = 10.0

    def __init__(self, channel: Channel, max_batch: int) -> None:
        self.channel: Channel = channel
        self.max_batch = max_batch

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        return [Accepted(provider_message_id="m-0123456789abcdef")] * len(batch)


def rendering() -> Rendering:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "news" / "default"
        root.mkdir(parents=True)
        for name, text in TEMPLATES.items():
            (root / f"{name}.j2").write_text(text)
        return Rendering(Templates(Path(folder)))


def slice_of(channel: Channel, number: int, now_ms: int) -> DeliveryBatch:
    body = Body("news", "news", {"weather": "fine"}, now_ms + 3_600_000, broadcast_id=bytes(16))
    targets = [
        Target(
            user_id=f"user-{number}-{place}",
            notification_id=b"n" + number.to_bytes(7, "big") + place.to_bytes(8, "big"),
            delivery_id=b"d" + number.to_bytes(7, "big") + place.to_bytes(8, "big"),
            address=f"user-{number}-{place}@example.org",
            address_hash=number.to_bytes(8, "big") + place.to_bytes(8, "big"),
            locale="en",
        )
        for place in range(RECIPIENTS)
    ]
    slice_id = number.to_bytes(16, "big")
    return DeliveryBatch(channel, "bulk", [body], targets, now_ms, slice_id=slice_id)


async def measure(channel: Channel, max_batch: int) -> float:
    """Median CPU milliseconds for a slice."""
    rules = Rules(types={"news": NotificationType("news", Category("news"), CHANNELS)})
    stops, clock, state = StopList(rules), SystemClock(), MemoryState()
    send = Send(
        sender=Nothing(channel, max_batch),
        rendering=rendering(),
        pace=WorkerPace(limit=None, partitions=8),
        terms=Terms(rules, stops, ReceiptWriter(partitions=8), 8, lambda provider, reason: None),
        clock=clock,
    )
    spent: list[float] = []
    for number in range(ROUNDS):
        now_ms = clock.now_ms()
        batch = BatchOf([Item(slice_of(channel, number, now_ms))], now_ms, state)
        began = time.process_time()
        async for effects in send.handle(batch):
            apply(state, effects)
        spent.append((time.process_time() - began) * 1000)
    return statistics.median(spent)


CASES: tuple[tuple[Channel, int], ...] = (("email", 1000), ("push", 1))


async def main() -> None:
    for channel, max_batch in CASES:
        ms = await measure(channel, max_batch)
        rate = RECIPIENTS / ms
        print(f"{channel}, {max_batch} a request: {ms:.1f} ms a slice, {rate:.0f} k recipients/s")


if __name__ == "__main__":
    asyncio.run(main())
