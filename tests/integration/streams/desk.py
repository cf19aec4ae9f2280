"""A desk: topics of its own for each test, and a look at what readers of them would see."""

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition as KafkaPartition

from policies.clock import SystemClock
from schemas.kafka import Record
from streams.engine.ports import Transaction
from streams.names import Names, changelog
from streams.patience import Patience
from streams.refusals import OnceAMinute
from streams.restore import ChangelogReader
from streams.transactions import KafkaLog
from streams.watched_clock import WatchedClock
from tables.packing import RowList
from tables.state import Kind
from tests.doubles.said import Said

ROLE = "decide"
OUT = "deliveries"


MARK_OFFSETS = 2
"""What each take-over takes of both changelogs: a mark, and the end of its transaction."""


class GivenLease:
    """A lease that is whatever the test says."""

    def __init__(self, *, good: bool = True) -> None:
        self.good = good
        self.is_waited_for = asyncio.Event()

    def is_good(self) -> bool:
        return self.good

    async def wait_until_good(self) -> None:
        while not self.good:
            self.is_waited_for.set()
            await asyncio.sleep(0.01)  # the test sets it

    async def wait_until_renewed(self) -> None:
        await self.wait_until_good()


class Desk:
    """One role-partition's topics on a real Kafka, and readers of them."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.connection: dict[str, Any] = {"bootstrap_servers": bootstrap}
        self.names = Names(f"t{uuid.uuid4().hex[:8]}.")
        self.lease = GivenLease()
        self.said = Said()
        self.patience = Patience(_is_reached, self.said)
        self.admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._logs: list[KafkaLog] = []

    async def open(self) -> None:
        await self.admin.start()
        await self.create(*self.topics)

    async def close(self) -> None:
        for log in self._logs:
            await log.close()
        await self.admin.close()
        # A fenced producer of aiokafka leaves futures that nobody asks. Complained about at any
        # later moment, they can break Python 3.11's parser, which a traceback calls again.
        self._logs.clear()
        gc.collect()

    @property
    def topics(self) -> tuple[str, ...]:
        return (OUT, *(changelog(ROLE, kind) for kind in Kind))

    async def create(self, *topics: str) -> None:
        by_broker = {"message.timestamp.type": "LogAppendTime"}
        new = [
            NewTopic(self.names.physical(each), 1, 1, topic_configs=by_broker) for each in topics
        ]
        await self.admin.create_topics(new)

    async def log(self, log_class: type[KafkaLog] = KafkaLog, **options: Any) -> KafkaLog:
        """A started log, closed at the end of the test."""
        given: dict[str, Any] = {
            "connection": self.connection,
            "lease": self.lease,
            "clock": WatchedClock(SystemClock()),
            **options,
        }
        reader = ChangelogReader(
            names=self.names, connection=self.connection, patience=self.patience
        )
        log = log_class(
            role=ROLE, partition=0, names=self.names, patience=self.patience, changelogs=reader,
            voice=OnceAMinute(), **given,
        )  # fmt: skip
        await log.start()
        self._logs.append(log)
        return log

    def producer(self, transactional_id: str = "") -> AIOKafkaProducer:
        """By default it has the partition's transactional id: what an earlier owner left behind."""
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            transactional_id=transactional_id or self.names.transactional_id(ROLE, 0),
            transaction_timeout_ms=10_000,
        )

    async def read(
        self, topic: str, isolation: str = "read_committed"
    ) -> list[tuple[int, bytes | None, bytes | None]]:
        """Offset, key and value of whatever a reader of this isolation sees up to now."""
        is_committed = isolation == "read_committed"
        async with self._reading(isolation) as consumer:
            place = self.place(topic)
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            found = []
            end = None
            while end is None or await consumer.position(place) < end:
                records = (await consumer.getmany(place, timeout_ms=100)).get(place, ())
                found += [(record.offset, record.key, record.value) for record in records]
                # The end as of the last fetch; what is behind an open transaction is not read.
                ask = consumer.last_stable_offset if is_committed else consumer.highwater
                end = ask(place)
        return found

    async def values(self, topic: str) -> list[bytes | None]:
        """What is committed, once every transaction has its end: a broker answers a commit before it
        has written that everywhere."""
        await self.wait_until_nothing_is_open(topic)
        return [value for _, _, value in await self.read(topic)]

    async def wait_until_nothing_is_open(self, topic: str) -> None:
        """A look at the log, which tells nobody."""
        async with asyncio.timeout(30), self._reading("read_uncommitted") as consumer:
            (end,) = (await consumer.end_offsets([self.place(topic)])).values()
            while await self.stable_end(topic) < end:
                pass

    async def stable_end(self, topic: str) -> int:
        """Up to where a reader of committed records may read now."""
        async with self._reading("read_committed") as consumer:
            (end,) = (await consumer.end_offsets([self.place(topic)])).values()
        return int(end)

    @asynccontextmanager
    async def _reading(self, isolation: str) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            isolation_level=isolation,
            enable_auto_commit=False,
            # By default a new assignment is moved to the end, and may be so after we have sought.
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    def place(self, topic: str) -> KafkaPartition:
        return KafkaPartition(self.names.physical(topic), 0)


def transaction(
    *, transient: RowList | None = None, durable: RowList | None = None, out: tuple[bytes, ...] = ()
) -> Transaction:
    records = [Record(OUT, 0, value) for value in out]
    return Transaction(rows=(dict(transient or []), dict(durable or [])), records=records)


async def _is_reached() -> None:
    """Whatever a client says: why Kafka cannot be reached is tested elsewhere."""
