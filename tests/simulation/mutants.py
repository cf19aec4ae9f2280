"""Processes that break one rule each. A simulator that has not failed proves nothing."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import msgspec

from schemas.kafka import InboundRecord, Record, TopicPartition
from streams.engine.items import Taken
from streams.engine.ports import Committed, Transaction
from streams.engine.positions import POSITION_PREFIX, position_key
from streams.engine.routes import Envelopes, Topology
from streams.engine.runner import Runner
from tables.state import Kind
from tests.simulation.clocks import StoryClock
from tests.simulation.disk import Files, MemoryLog, MemoryStore, encode
from tests.simulation.process import MemoryLease, Plan, Process


class _EagerLog(MemoryLog):
    files: Files

    async def commit(self, transaction: Transaction) -> Committed:
        for kind in Kind:
            self.files.write(kind, transaction.rows[kind].items(), self.files.offsets[kind])
        return await super().commit(transaction)


class RowsAppliedBeforeTheCommit(Process):
    """R1: the local store runs ahead of Kafka, so a crash leaves a decision without its effects."""

    def make_log(self, partition: int) -> MemoryLog:
        log = _EagerLog(role=self.role, partition=partition, broker=self.broker)
        log.files = self.disk.setdefault(partition, Files())
        return log


class _PlainLog(MemoryLog):
    def _write(self, records: list[Record]) -> list[int]:
        self.broker.check(self.transactional_id, self.epoch)
        return [self.broker.append(record) for record in records]


class RowsAndRecordsOutsideATransaction(Process):
    """R1: a crash between two appends leaves one without the other."""

    log_class = _PlainLog


class _OffsetsStore(MemoryStore):
    group_offsets: dict[bytes, int]

    def get(self, kind: Kind, key: bytes) -> bytes | None:
        if key in self.group_offsets:
            return encode([self.group_offsets[key], []])
        return super().get(kind, key)


class PositionsAheadOfTheWork(Process):
    """R2: offsets are committed as they are fetched, as a consumer's auto-commit does."""

    def make_store(self, partition: int) -> MemoryStore:
        files = self.disk.setdefault(partition, Files())
        store = _OffsetsStore(role=self.role, partition=partition, files=files, broker=self.broker)
        kept = {place: end for place, end in self._kept().items() if place.partition == partition}
        store.group_offsets = {position_key(place): end for place, end in kept.items()}
        return store

    def push(
        self, records: Collection[InboundRecord], place: TopicPartition, position: int
    ) -> None:
        self._kept()[place] = position
        super().push(records, place, position)

    def _kept(self) -> dict[TopicPartition, int]:
        kept: dict[TopicPartition, int] = self.broker.__dict__.setdefault(self.role, {})
        return kept


class _WholeRecords:
    def __init__(self, envelopes: Envelopes) -> None:
        self._envelopes = envelopes

    def item(self, record: InboundRecord, *, is_forwarded: bool) -> Taken[Any]:
        item = self._envelopes.item(record, is_forwarded=is_forwarded)
        item.record = record._replace(part=-1)
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._envelopes, name)


class RecordsDoneWithTheirFirstPart(Process):
    """R2: the first of many requests in one record moves the position past all of them."""

    def topology_of(self, plan: Plan) -> Topology:
        flow = super().topology_of(plan)
        return replace(flow, envelopes=_WholeRecords(flow.envelopes))


class _ForgetfulStore(MemoryStore):
    def get(self, kind: Kind, key: bytes) -> bytes | None:
        value = super().get(kind, key)
        if value is None or not key.startswith(POSITION_PREFIX):
            return value
        return encode(msgspec.msgpack.decode(value)[:2])


class PartsForgottenAtTakeOver(Process):
    """R2: a record of which some was done is done once more as a whole."""

    def make_store(self, partition: int) -> MemoryStore:
        files = self.disk.setdefault(partition, Files())
        return _ForgetfulStore(
            role=self.role, partition=partition, files=files, broker=self.broker
        )  # fmt: skip


class _UnfencedLog(MemoryLog):
    async def start(self) -> None:
        await self.broker.round_trip()
        self.epoch = self.broker.newest_epoch(self.transactional_id)


class NoFencingAtTakeOver(Process):
    """R3: an earlier owner may still write, and what it left open is never aborted."""

    log_class = _UnfencedLog


class _HastyRunner(Runner):
    async def give_up(self) -> None:
        self.kill()
        self._partitions = {}


class GivingUpWithoutADrain(Process):
    """R4: a clean restart throws away generators whose calls are open."""

    runner_class = _HastyRunner


class _EternalLease(MemoryLease):
    def is_good(self) -> bool:
        return True


class NoLease(Process):
    """R5: a process that slept through its session goes on calling the provider."""

    lease_class = _EternalLease


class _TrustedClock(StoryClock):
    def compare(self, appended_ms: int, *, asked_ms: int) -> None:
        """Nobody does."""

    def believed_ms(self) -> int:
        return self.now_ms()


class AnyClockBelieved(Process):
    """Who is an hour or a day ahead decides by it."""

    clock_class = _TrustedClock
