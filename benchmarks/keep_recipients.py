"""How many imported recipients a second one core applies: `python -m benchmarks.keep_recipients`.

Both stages that an import passes: profiles and memberships first, then who holds the addresses.
The state is in memory, so add what your store costs for five reads and writes a recipient.
"""

import asyncio
import time
from typing import Any

from agents.keep_addresses import KeepAddresses
from agents.keep_recipients import KeepRecipients, RecipientNews
from agents.stage import Effects, Item, Stage
from schemas.recipient_events import (
    AddressEvent,
    ImportBatch,
    ImportedDevice,
    ImportedRecipient,
    ImportedWish,
    decode_address_events,
    decode_import,
    encode_import,
)
from schemas.topics import ADDRESSES_CHANGED
from tests.doubles import BatchOf, MemoryState, apply

RECIPIENTS = 40_000
A_RECORD = 1000
NOW_MS = 1_772_366_400_000


def line(number: int) -> ImportedRecipient:
    return ImportedRecipient(
        f"user-{number:08d}",
        NOW_MS,
        email=f"recipient.{number}@example.com",
        phone=f"+1555{number:07d}",
        name=f"Recipient {number}",
        locale="de",
        timezone="Europe/Berlin",
        wishes=(ImportedWish("sms", False), ImportedWish("email", True, "23:00-07:00", 3)),
        types={"newsletter": False},
        audiences=("all",),
        devices=(ImportedDevice("phone", f"{number:064d}", "ios"),),
    )


async def run(
    stage: Stage[Any], item: Item[Any], state: MemoryState
) -> tuple[float, list[Effects]]:
    """CPU seconds of the stage alone, and what it yielded."""
    spent, yielded = 0.0, []
    begun = time.process_time()
    async for effects in stage.handle(BatchOf([item], NOW_MS, state)):
        spent += time.process_time() - begun
        apply(state, effects)
        yielded.append(effects)
        begun = time.process_time()
    return spent + time.process_time() - begun, yielded


async def import_all(recipients: MemoryState, addresses: MemoryState) -> tuple[float, float]:
    """CPU seconds of both stages."""
    keep_recipients = KeepRecipients(partitions=8, address_key=b"k" * 32)
    keep_addresses = KeepAddresses(partitions=8)
    of_recipients = of_addresses = 0.0
    for start in range(0, RECIPIENTS, A_RECORD):
        value = encode_import(ImportBatch([line(n) for n in range(start, start + A_RECORD)]))
        begun = time.process_time()
        news: Item[RecipientNews] = Item(decode_import(value), offset=start)
        of_recipients += time.process_time() - begun
        spent, yielded = await run(keep_recipients, news, recipients)
        of_recipients += spent
        for record in (each for effects in yielded for each in effects.records):
            if record.topic == ADDRESSES_CHANGED and record.value is not None:
                begun = time.process_time()
                events: Item[list[AddressEvent]] = Item(decode_address_events(record.value))
                of_addresses += time.process_time() - begun
                of_addresses += (await run(keep_addresses, events, addresses))[0]
    return of_recipients, of_addresses


async def main() -> None:
    recipients, addresses = MemoryState(), MemoryState()
    for name in ("first import", "second import"):
        one, two = await import_all(recipients, addresses)
        print(
            f"{name:14} {RECIPIENTS / (one + two):8,.0f} recipients/s: "
            f"{one / RECIPIENTS * 1e6:.1f} us keeping profiles, "
            f"{two / RECIPIENTS * 1e6:.1f} us keeping addresses"
        )


if __name__ == "__main__":
    asyncio.run(main())
