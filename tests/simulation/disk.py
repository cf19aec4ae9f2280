"""The simulator's `TransactionLog` and `PartitionStore`: the ports of the engine in memory."""

import bisect
from collections.abc import Iterable, Sequence

import msgspec

from schemas.kafka import Record, TopicPartition
from streams.engine.ports import Committed, RestoreReport, Transaction
from tables.packing import RowList, Rows
from tables.state import Kind, StaleRows
from tests.simulation.broker import Broker
from tests.simulation.clocks import StoryClock
from tests.simulation.watching import Passage, Watch

encode = msgspec.msgpack.Encoder().encode
_decode_packed = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]]).decode


class Files:
    """What one slot has on its disk for one partition; outlives a process, not a wipe."""

    def __init__(self) -> None:
        self.rows: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        self.keys: tuple[list[bytes], list[bytes]] = ([], [])
        self.offsets: list[int] = [-1, -1]

    def copy(self) -> "Files":
        other = Files()
        other.rows = (dict(self.rows[0]), dict(self.rows[1]))
        other.keys = (list(self.keys[0]), list(self.keys[1]))
        other.offsets = list(self.offsets)
        return other

    def take(self, other: "Files") -> None:
        """Become what the other is."""
        self.rows, self.keys, self.offsets = other.rows, other.keys, other.offsets

    def write(self, kind: Kind, rows: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        for key, value in rows:
            if value is None:
                if self.rows[kind].pop(key, None) is not None:
                    del self.keys[kind][bisect.bisect_left(self.keys[kind], key)]
            else:
                if key not in self.rows[kind]:
                    bisect.insort(self.keys[kind], key)
                self.rows[kind][key] = value
        self.offsets[kind] = offset


def changelog(role: str, kind: Kind, partition: int) -> TopicPartition:
    return TopicPartition(f"{role}-{kind.name.lower()}-changelog", partition)


class MemoryStore:
    """A `PartitionStore` over `Files`, restored from the changelogs on the simulated broker."""

    def __init__(self, *, role: str, partition: int, files: Files, broker: Broker) -> None:
        self._role = role
        self._partition = partition
        self._files = files
        self.broker = broker

    def get(self, kind: Kind, key: bytes) -> bytes | None:
        return self._files.rows[kind].get(key)

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._files.rows[kind].get(key) for key in keys]

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        keys, rows = self._files.keys[kind], self._files.rows[kind]
        low = bisect.bisect_left(keys, start)
        if low == len(keys) or keys[low] >= end:  # as nearly always
            return []
        high = bisect.bisect_left(keys, end, lo=low)
        return [(key, rows[key]) for key in keys[low : min(high, low + limit)]]

    def apply(self, kind: Kind, rows: Rows, offset: int) -> None:
        if offset <= self._files.offsets[kind]:
            raise StaleRows(f"{kind.name} offset {offset} after {self._files.offsets[kind]}")
        self._files.write(kind, rows.items(), offset)

    async def restore(self) -> RestoreReport:
        read = 0
        for kind in Kind:
            await self.broker.round_trip()
            end = self.broker.log(changelog(self._role, kind, self._partition)).stable_end()
            read += _read(self._files, kind, self._role, self._partition, self.broker, end)
        return RestoreReport(rows=read, seconds=0.0, ends=(0, 0))

    def tidy(self, now_ms: int, horizon_ms: int) -> None:
        """Nothing expires within a simulated hour."""

    def merge_at_rest(self) -> None:
        """There are no files."""

    def close(self) -> None:
        """Nothing to let go of: the files stay on the simulated disk."""


def older(files: Files, share: float, role: str, partition: int, broker: Broker) -> Files:
    """A copy as it was when this share of what it holds had been written."""
    copy = Files()
    for kind in Kind:
        _read(copy, kind, role, partition, broker, round((files.offsets[kind] + 1) * share))
    return copy


def _read(files: Files, kind: Kind, role: str, partition: int, broker: Broker, end: int) -> int:
    """Go on with a changelog up to there; returns how many rows were read."""
    place, count = changelog(role, kind, partition), 0
    records, _ = broker.read_committed(place, files.offsets[kind] + 1, 1 << 60)
    for record in records:
        if record.offset < end:
            rows = _rows_of(kind, record.key, record.value)
            files.write(kind, rows, record.offset)
            count += len(rows)
    files.offsets[kind] = max(files.offsets[kind], end - 1)
    return count


def _rows_of(kind: Kind, key: bytes | None, value: bytes | None) -> RowList:
    if kind is Kind.TRANSIENT:
        assert value is not None
        return list(_decode_packed(value))
    assert key is not None
    return [(key, value)]


class TransactionAborted(RuntimeError):
    """Raised when the broker did not commit; nobody knows why, and the process must end."""


class MemoryLog:
    """A `TransactionLog` that takes several round trips, each of which may be the last."""

    def __init__(self, *, role: str, partition: int, broker: Broker) -> None:
        self._role = role
        self._partition = partition
        self.broker = broker
        self.transactional_id = f"{role}-{partition}"
        self.epoch = 0
        self.watch: Watch | None = None
        self.clock: StoryClock | None = None
        """Compared with the broker's, if there is one."""
        self.is_committing = False

    async def start(self) -> None:
        if self.watch is not None:
            self.watch.begins(self._partition)
        await self.broker.round_trip()
        self.epoch = self.broker.init_producer(self.transactional_id)
        await self.broker.round_trip()

    def restored(self, ends: tuple[int, int]) -> None:
        """Who is fenced here dies: there is nothing to compare."""

    async def commit(self, transaction: Transaction) -> Committed:
        self.is_committing = True
        passages = self.watch.commits(self._partition) if self.watch is not None else ()
        await self._pass(passages, "staged")
        asked_ms = self.clock.now_ms() if self.clock is not None else 0
        offsets: list[int | None] = [None, None]
        for kind in Kind:
            if rows := transaction.rows[kind]:
                await self.broker.round_trip()
                offsets[kind] = self._write(self._changelog_records(kind, rows))[-1]
        if transaction.records:
            await self.broker.round_trip()
            self._write(transaction.records)
        if self.clock is not None:
            self.clock.compare(self.broker.now_ms(), asked_ms=asked_ms)
        await self._pass(passages, "appended")
        await self.broker.round_trip()
        self._end()
        await self._pass(passages, "committed")
        await self.broker.round_trip()
        self.is_committing = False
        if self.watch is not None:
            self.watch.has_committed(self._partition)
        return Committed((offsets[0], offsets[1]))

    async def close(self) -> None:
        """A producer that is closed leaves nothing open: every transaction has ended."""

    async def _pass(self, passages: Sequence[Passage], moment: str) -> None:
        for passage in passages:
            assert self.watch is not None  # it made them
            await self.watch.passing(passage, moment)

    def _write(self, records: list[Record]) -> list[int]:
        return self.broker.transact(self.transactional_id, self.epoch, records)

    def _end(self) -> None:
        self.broker.commit(self.transactional_id, self.epoch)

    def _changelog_records(self, kind: Kind, rows: Rows) -> list[Record]:
        place = changelog(self._role, kind, self._partition)
        if kind is Kind.TRANSIENT:
            return [Record(place.topic, place.partition, encode(list(rows.items())))]
        return [Record(place.topic, place.partition, value, key=key) for key, value in rows.items()]
