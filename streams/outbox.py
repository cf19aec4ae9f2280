"""`Outbox`: many records written by one command, none forgotten, few on their way at a time."""

import asyncio
from collections import deque
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.kafka import Record
from streams.names import Names

_MOST_UNACKNOWLEDGED = 64


class Outbox:
    """Records keep their order within a partition."""

    def __init__(self, producer: AIOKafkaProducer, *, names: Names) -> None:
        self._producer = producer
        self._names = names
        self._unacknowledged: deque[asyncio.Future[Any]] = deque()

    async def send(self, record: Record) -> None:
        """Raises what an earlier record met with, too."""
        if len(self._unacknowledged) == _MOST_UNACKNOWLEDGED:
            await self._unacknowledged.popleft()
        sent = await self._producer.send(
            self._names.physical(record.topic),
            record.value,
            record.key,
            record.partition,
            headers=list(record.headers),
        )
        self._unacknowledged.append(sent)

    async def flush(self) -> None:
        """Return when all are acknowledged."""
        while self._unacknowledged:
            await self._unacknowledged.popleft()
