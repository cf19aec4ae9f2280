"""The demo: people, traffic, and what becomes of it, live."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas import topics
from schemas.kafka import Record
from schemas.recipient_events import encode_import
from streams.assembly import layout_of
from streams.config import Config
from streams.demo import people
from streams.demo.lag import Lag
from streams.demo.screen import Screen
from streams.demo.tally import Tally
from streams.demo.traffic import Traffic
from streams.topic_admin import connected

RECIPIENTS = 10_000
_ONCE_REQUESTS = 2_000
_PER_SECOND = 60
_BROADCAST_SECONDS = 45.0
_LOOK_SECONDS = 0.3
_QUIET_SECONDS = 2.5
"""Nothing open, nothing waiting and no receipt for so long: everything is at rest."""


async def create_topics(config: Config) -> None:
    """Those that are missing."""
    names = config.kafka.names
    async with connected(config.kafka.connection(), layout=layout_of(config), names=names) as admin:
        await admin.create()


class Demo:
    """One run on an ensemble that is up."""

    def __init__(self, config: Config, *, screen: Screen, tally: Tally) -> None:
        self._config = config
        self._screen = screen
        self._tally = tally
        self._connection = config.kafka.connection()
        self._names = config.kafka.names
        self._lag = Lag(connection=self._connection, names=self._names)
        self._waiting = 0
        self.traffic = Traffic(
            people.user_ids(RECIPIENTS), config.partitions, seed=int(time.time())
        )

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Receipts and lag are followed inside."""
        consumer = AIOKafkaConsumer(
            self._names.physical(topics.RECEIPTS),
            **self._connection,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        await consumer.start()
        await self._lag.start()
        tasks = [asyncio.create_task(self._count(consumer)), asyncio.create_task(self._look())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await consumer.stop()
            await self._lag.close()

    async def run_once(self) -> None:
        """So many requests and a broadcast; returns when all of it is settled or deferred."""
        async with self._producing() as producer:
            await self._import(producer)
            self._screen.say(f"{_ONCE_REQUESTS:,} requests and a broadcast to an audience")
            await _send(producer, self._names.prefix, self.traffic.broadcast())
            for record in itertools.islice(self.traffic.records(), _ONCE_REQUESTS):
                await _send(producer, self._names.prefix, record)
            await producer.flush()
            await self._at_rest()

    async def run_for_ever(self) -> None:
        """Until cancelled."""
        async with self._producing() as producer:
            await self._import(producer)
            self._screen.say("requests in all lanes, a broadcast now and then; Ctrl-C stops")
            broadcast_at = 0.0
            for record in self.traffic.records():
                if time.monotonic() > broadcast_at:
                    broadcast_at = time.monotonic() + _BROADCAST_SECONDS
                    await _send(producer, self._names.prefix, self.traffic.broadcast())
                await _send(producer, self._names.prefix, record)
                await asyncio.sleep(1 / _PER_SECOND)

    async def _import(self, producer: AIOKafkaProducer) -> None:
        self._screen.say(f"importing {RECIPIENTS:,} recipients over {len(people.ZONES)} zones")
        now_ms = round(time.time() * 1000)
        for partition, batch in people.batches(
            RECIPIENTS, partitions=self._config.partitions, now_ms=now_ms
        ):
            value = encode_import(batch)
            record = Record(topics.RECIPIENTS_IMPORTED, partition, value)
            await _send(producer, self._names.prefix, record)
        await producer.flush()
        await self._until(lambda: self._waiting == 0)

    @contextlib.asynccontextmanager
    async def _producing(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(**self._connection, acks="all", linger_ms=5)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def _count(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    self._tally.note(record.value)

    async def _look(self) -> None:
        while True:
            self._waiting = await self._lag.waiting()
            self._screen.show(self._waiting)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _at_rest(self) -> None:
        def is_quiet() -> bool:
            return self._waiting == 0 and self._tally.open == 0

        await self._until(is_quiet)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """The condition has held, and nothing was told, for a while."""
        since, told = time.monotonic(), -1
        while time.monotonic() - since < _QUIET_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            if not condition() or self._tally.receipts != told:
                since, told = time.monotonic(), self._tally.receipts


async def _send(producer: AIOKafkaProducer, prefix: str, record: Record) -> None:
    await producer.send(
        prefix + record.topic, record.value, key=record.key, partition=record.partition
    )
