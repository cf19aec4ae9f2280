"""Kafka in memory: logs, transactions with fencing, read-committed readers that stop at an open one."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from schemas.kafka import InboundRecord, Record, TopicPartition
from tests.simulation.loop import DOMAIN, pause

T = TypeVar("T")


class Fenced(RuntimeError):
    """Raised when a newer producer with the same transactional id has been initialised."""


class OutOfRange(RuntimeError):
    """Raised when a reader is where the log does not hold anything (any more)."""

    def __init__(self, place: TopicPartition, offset: int) -> None:
        super().__init__(f"{place.topic}:{place.partition} at {offset}")
        self.place = place
        self.offset = offset


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

    record: InboundRecord | None
    txn: Txn | None = None


class Log:
    """One topic-partition."""

    def __init__(self, place: TopicPartition) -> None:
        self._place = place
        self.entries: list[Entry] = []
        self.readers: list[Reader] = []
        self.begin = 0
        """What is below was removed."""
        self._stable = 0

    @property
    def end(self) -> int:
        """The high watermark."""
        return len(self.entries)

    def stable_end(self) -> int:
        """The last stable offset: what a read-committed reader may reach."""
        entries = self.entries
        while self._stable < len(entries):
            txn = entries[self._stable].txn
            if txn is not None and txn.state == "open":
                break
            self._stable += 1
        return self._stable

    def end_for_readers(self) -> int:
        """Past the last record that a reader is to be given."""
        for offset in range(len(self.entries) - 1, -1, -1):
            entry = self.entries[offset]
            if entry.record is not None and (entry.txn is None or entry.txn.state != "aborted"):
                return offset + 1
        return 0

    def wake(self) -> None:
        for reader in self.readers:
            reader.hear_of(self._place)


class Reader:
    """A read-committed consumer that awaits what comes instead of asking for it."""

    def __init__(self, broker: "Broker") -> None:
        self._broker = broker
        self._process = DOMAIN.get()
        self.positions: dict[TopicPartition, int] = {}
        self._news: dict[TopicPartition, None] = {}
        """Where something may have come, in the order it came."""
        self._paused: set[TopicPartition] = set()
        self._heard_ms: dict[TopicPartition, int] = {}
        self._has_news = asyncio.Event()

    @property
    def has_news(self) -> bool:
        return self._has_news.is_set()

    @property
    def is_dead(self) -> bool:
        return self._process is not None and self._process.is_dead

    def follow(self, positions: Iterable[tuple[TopicPartition, int]]) -> None:
        for place, position in positions:
            self.positions[place] = position
            log = self._broker.log(place)
            log.readers = [each for each in log.readers if not each.is_dead]
            log.readers.append(self)
            if position < log.end:
                self.hear_of(place)

    def seek(self, place: TopicPartition, position: int) -> None:
        self.positions[place] = position
        self.hear_of(place)

    def hear_of(self, place: TopicPartition) -> None:
        self._news[place] = None
        if place not in self._paused:
            self._has_news.set()

    def pause(self, place: TopicPartition) -> None:
        self._paused.add(place)

    def resume(self, place: TopicPartition) -> None:
        self._paused.discard(place)
        if place in self._news:
            self._has_news.set()

    def heard_ms(self, place: TopicPartition, now_ms: int) -> int:
        """When it was last at the end, of the times that somebody wanted to know; 0 if it never was."""
        if self.positions.get(place) == self._broker.log(place).end:
            self._heard_ms[place] = now_ms
        return self._heard_ms.get(place, 0)

    def close(self) -> None:
        for place in self.positions:
            self._broker.log(place).readers.remove(self)

    async def read(self, limit: int) -> list[tuple[TopicPartition, Sequence[InboundRecord], int]]:
        """What has come, by place, with the position after it; waits until something may have.

        Raises `OutOfRange` before anything is read; whoever seeks then may go on.
        """
        await self._has_news.wait()
        self._has_news.clear()
        await self._broker.round_trip()
        found: list[tuple[TopicPartition, Sequence[InboundRecord], int]] = []
        places = [each for each in self._news if each not in self._paused]
        for place in places:
            self._broker.check_range(place, self.positions[place])
        for place in places:
            records, position = self._broker.read_committed(place, self.positions[place], limit)
            self.positions[place] = position
            found.append((place, records, position))
            if len(records) < limit:
                del self._news[place]
            else:
                self._has_news.set()
        return found


class Broker:
    """Never killed itself; its clients are."""

    def __init__(
        self,
        *,
        now_ms: Callable[[], int],
        randomness: random.Random,
        transaction_seconds: float = 10.0,
        pause: Callable[[float], Awaitable[None]] = pause,
    ) -> None:
        self.now_ms = now_ms
        self._pause = pause
        self._timeout_ms = transaction_seconds * 1000
        self._random = randomness
        self._logs: dict[TopicPartition, Log] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Txn] = {}
        self.written: defaultdict[str, set[str]] = defaultdict(set)
        """Topics, by the transactional ids that wrote to them."""
        self.appended = 0
        """Records so far, and markers."""

    def log(self, place: TopicPartition) -> Log:
        found = self._logs.get(place)
        if found is None:
            found = self._logs[place] = Log(place)
        return found

    def recreate(self, place: TopicPartition) -> None:
        """Delete the topic-partition and create it anew; readers stay subscribed by name."""
        fresh = Log(place)
        fresh.readers = self.log(place).readers
        self._logs[place] = fresh

    def remove(self, place: TopicPartition, begin: int) -> None:
        """What retention does: nobody reads below `begin` any more."""
        self.log(place).begin = begin

    def check_range(self, place: TopicPartition, offset: int) -> None:
        log = self.log(place)
        if not log.begin <= offset <= log.end:
            raise OutOfRange(place, offset)

    def round_trip(self) -> Awaitable[None]:
        return self._pause(self.latency_seconds())

    def latency_seconds(self) -> float:
        """How long a request and its answer take."""
        return self._random.expovariate(1 / 0.002)

    def in_any_order(self, some: Iterable[T]) -> list[T]:
        found = list(some)
        self._random.shuffle(found)
        return found

    def append(self, record: Record, txn: Txn | None = None) -> int:
        place = TopicPartition(record.topic, record.partition)
        log = self.log(place)
        offset = len(log.entries)
        written = InboundRecord(
            *place, offset, self.now_ms(), record.key, record.value, record.headers
        )
        log.entries.append(Entry(written, txn))
        self.appended += 1
        if txn is None:
            log.wake()
        else:
            txn.touched[place] = None
        return offset

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
            record, txn = log.entries[position].record, log.entries[position].txn
            if record is not None and (txn is None or txn.state == "committed"):
                found.append(record)
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
        txn = self._open.setdefault(transactional_id, Txn(self.now_ms()))
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
            if self.now_ms() - txn.began_ms > self._timeout_ms:
                self.init_producer(transactional_id)

    def _finish(self, txn: Txn, state: str) -> None:
        txn.state = state
        for place in txn.touched:
            log = self.log(place)
            log.entries.append(Entry(None, txn))
            self.appended += 1
            log.wake()
