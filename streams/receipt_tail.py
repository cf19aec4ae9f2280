"""`follow`: committed receipts as they come, of one user or of all."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.topics import RECEIPTS
from streams.names import Names
from streams.patience import Patience

_READ_MS = 500


async def follow(
    *,
    partitions: Collection[int],
    since_ms: int | None,
    names: Names,
    connection: Mapping[str, Any],
    patience: Patience,
) -> AsyncGenerator[bytes, None]:
    """Values of these partitions, appended at or after `since_ms`, or from now on; never ends.

    A broker that is away is waited out.
    """
    places = [KafkaPartition(names.physical(RECEIPTS), number) for number in partitions]
    consumer = AIOKafkaConsumer(
        **connection,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    watching = asyncio.create_task(patience.watch(partial(consumer.end_offsets, places)))
    try:
        consumer.assign(places)
        starts = await consumer.end_offsets(places)
        if since_ms is not None:
            found = await consumer.offsets_for_times(dict.fromkeys(places, since_ms))
            starts |= {place: at.offset for place, at in found.items() if at is not None}
        for place, offset in starts.items():
            consumer.seek(place, offset)
        while True:
            for records in (await consumer.getmany(timeout_ms=_READ_MS)).values():
                for record in records:
                    if record.value is not None:
                        yield record.value
    finally:
        watching.cancel()
        await consumer.stop()
