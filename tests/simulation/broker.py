"""Kafka in memory: logs, transactions with fencing, read-committed readers that stop at an open one."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas.kafka import InboundRecord, Record, TopicPartition

TRANSACTION_TIMEOUT_MS = 10_000


class Fenced(RuntimeError):
    """Raised when a newer producer with the same transactional id has been initialised."""


@dataclass(slots=True, eq=False)
class Txn:
    """One transaction; its records are seen once `state` is committed."""

    began_ms: int
    state: str = "open"
    touched: dict[TopicPartition, None] = field(default_factory=dict)
    """In order: that of a set would differ from run to run, and a seed with it."""


@dataclass(slots=True)
class Entry:
    """A record or, with `record` None, a transaction marker: markers take an offset too."""

    record: Record | None
    timestamp_ms: int
    txn: Txn | None = None


class Log:
    """One topic-partition."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.readers: list[asyncio.Event] = []
        self._stable = 0

    @property
    def end(self) -> int:
        """The high watermark."""
        return len(self.entries)

    def stable_end(self) -> int:
        """The last stable offset: what a read-committed reader may reach."""
        while self._stable < len(self.entries):
            txn = self.entries[self._stable].txn
            if txn is not None and txn.state == "open":
                break
            self._stable += 1
        return self._stable

    def wake(self) -> None:
        for reader in self.readers:
            reader.set()


class Broker:
    """Never killed itself; its clients are."""

    def __init__(self, *, now_ms: Callable[[], int], randomness: random.Random) -> None:
        self._now_ms = now_ms
        self._random = randomness
        self._logs: dict[TopicPartition, Log] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Txn] = {}
        self.written: defaultdict[str, set[str]] = defaultdict(set)
        """Topics, by the transactional ids that wrote to them."""

    def log(self, place: TopicPartition) -> Log:
        found = self._logs.get(place)
        if found is None:
            found = self._logs[place] = Log()
        return found

    def recreate(self, place: TopicPartition) -> None:
        """Delete the topic-partition and create it anew; readers stay subscribed by name."""
        fresh = Log()
        fresh.readers = self.log(place).readers
        self._logs[place] = fresh

    async def round_trip(self) -> None:
        await asyncio.sleep(self._random.expovariate(1 / 0.002))

    def append(self, record: Record, txn: Txn | None = None) -> int:
        place = TopicPartition(record.topic, record.partition)
        log = self.log(place)
        log.entries.append(Entry(record, self._now_ms(), txn))
        if txn is None:
            log.wake()
        else:
            txn.touched[place] = None
        return log.end - 1

    async def produce(self, record: Record) -> TopicPartition:
        """An ordinary producer: the answer comes after the append."""
        await self.round_trip()
        self.append(record)
        await self.round_trip()
        return TopicPartition(record.topic, record.partition)

    def read_committed(
        self, place: TopicPartition, start: int, limit: int
    ) -> tuple[list[InboundRecord], int]:
        """Committed records from `start`, and the position after them (markers are skipped)."""
        log = self.log(place)
        position, stable, found = start, log.stable_end(), list[InboundRecord]()
        while position < stable and len(found) < limit:
            entry = log.entries[position]
            if entry.record is not None and (entry.txn is None or entry.txn.state == "committed"):
                found.append(
                    InboundRecord(
                        place.topic,
                        place.partition,
                        position,
                        entry.timestamp_ms,
                        entry.record.key,
                        entry.record.value,
                        entry.record.headers,
                    )
                )
            position += 1
        return found, position

    # Transactions, one call a request of the wire.

    def init_producer(self, transactional_id: str) -> int:
        """Fences every earlier producer of the id and aborts what it left open."""
        epoch = self._epochs[transactional_id] = self._epochs.get(transactional_id, 0) + 1
        left = self._open.pop(transactional_id, None)
        if left is not None:
            self._finish(left, "aborted")
        return epoch

    def newest_epoch(self, transactional_id: str) -> int:
        return self._epochs.setdefault(transactional_id, 1)

    def check(self, transactional_id: str, epoch: int) -> None:
        if self._epochs.get(transactional_id) != epoch:
            raise Fenced(f"{transactional_id}: epoch {epoch} is not the newest")

    def transact(self, transactional_id: str, epoch: int, records: Sequence[Record]) -> list[int]:
        """Append to the id's open transaction, beginning one if there is none."""
        self.check(transactional_id, epoch)
        self.written[transactional_id].update(record.topic for record in records)
        txn = self._open.setdefault(transactional_id, Txn(self._now_ms()))
        return [self.append(record, txn) for record in records]

    def commit(self, transactional_id: str, epoch: int) -> None:
        self.check(transactional_id, epoch)
        txn = self._open.pop(transactional_id, None)
        if txn is not None:
            self._finish(txn, "committed")

    def has_open(self, transactional_id: str) -> bool:
        """Whether a transaction of this id is under way."""
        return transactional_id in self._open

    def expire_transactions(self) -> None:
        """The transaction timeout: abort what has been open for too long, and fence its producer."""
        for transactional_id, txn in list(self._open.items()):
            if self._now_ms() - txn.began_ms > TRANSACTION_TIMEOUT_MS:
                self.init_producer(transactional_id)

    def _finish(self, txn: Txn, state: str) -> None:
        txn.state = state
        for place in txn.touched:
            log = self.log(place)
            log.entries.append(Entry(None, self._now_ms(), txn))
            log.wake()
