"""What deciding on a single request costs: `python -m benchmarks.decide`.

Decoded, deduplicated, profile read, preferences, caps and quiet hours checked, delivery and receipt
encoded; in batches of 500, as a worker with a backlog takes them. The state is in memory, and there
is no Kafka: add what they cost for three reads and three rows a request.
"""

import asyncio
import gc
import json
import time
from collections.abc import Iterator, Sequence

from agents.decide import Decide
from agents.dispatch import DispatchTerms
from agents.stage import Item
from benchmarks.fan_out import member
from policies.rules import Category, NotificationType, RateLimit, Rules
from schemas.batch_record import RequestDecoder, parts_of
from schemas.kafka import InboundRecord
from schemas.notification import NOTIFICATION_REQUEST
from tests.doubles import BatchOf, MemoryState, apply

REQUESTS = 50_000
A_BATCH = 500
NOW_MS = 1_772_366_400_000
TOPIC = "notifications.requested"


def stage() -> Decide:
    orders = Category("transactional", lane="normal", quiet_hours=True)
    kind = NotificationType("order_confirmed", orders, ("email",))
    terms = DispatchTerms(
        rules=Rules({kind.name: kind}, per_user={"email": RateLimit(20, 3600)}),
        partitions=8,
        address_key=b"k" * 32,
        sms_senders=(),
        cancelled=lambda ids: {},
    )
    return Decide(terms=terms, lanes={TOPIC: "normal"}, tenants={})


def records(size: int) -> Iterator[InboundRecord]:
    """Each with so many requests."""
    for first in range(0, REQUESTS, size):
        asked = [
            {
                "user_id": f"user-{number:08d}",
                "type": "order_confirmed",
                "data": {"order_id": f"order-{number}", "total": "12 EUR"},
                "idempotency_key": f"order-{number}",
            }
            for number in range(first, first + size)
        ]
        value = json.dumps(asked if size > 1 else asked[0]).encode()
        yield InboundRecord(TOPIC, 0, first, NOW_MS, b"key", value)


async def decide(state: MemoryState, waiting: Sequence[InboundRecord]) -> float:
    """Seconds."""
    deciding = stage()
    decode = RequestDecoder(NOTIFICATION_REQUEST, on_ignored=lambda topic, count: None)
    begun = time.process_time()
    parts = [part for record in waiting for part in parts_of(record)]
    spent = time.process_time() - begun
    for first in range(0, len(parts), A_BATCH):
        begun = time.process_time()
        items = [
            Item(decode(part), TOPIC, 0, part.offset, part.timestamp_ms, part=part.part)
            for part in parts[first : first + A_BATCH]
        ]
        effects = [each async for each in deciding.handle(BatchOf(items, NOW_MS, state))]
        spent += time.process_time() - begun
        for each in effects:
            apply(state, each)
    return spent


async def main() -> None:
    for size in (1, 100):
        state = MemoryState()
        for number in range(REQUESTS):
            state.apply(member(number))
        gc.freeze()  # as a worker does with what it begins with
        seconds = await decide(state, list(records(size)))
        each_us = seconds / REQUESTS * 1e6
        print(f"{size:4} a record {REQUESTS / seconds:10,.0f} requests/s, {each_us:.1f} us each")


if __name__ == "__main__":
    asyncio.run(main())
