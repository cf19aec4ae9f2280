"""Roles by hand: what they would read, write and remember, one transaction at a time.

The stages are the real ones; what a test wants lost, it takes away on the way to Kafka.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as KafkaPartition

from agents.facts import Fact
from agents.receipts import ReceiptWriter
from agents.stage import Item
from policies.stops import StopList
from schemas.delivery import DeliveryBatch, decode_batch, encode_batch
from schemas.kafka import InboundRecord, Record, TopicPartition
from streams import topology
from streams.engine.routes import Source
from streams.names import changelog
from streams.topology import DECIDE, FlowSettings
from tables.send_schedule import SCHEDULES
from tables.state import Kind, Row
from tests.doubles import BatchOf, MemoryState, drive
from tests.integration.command_line.conftest import PARTITIONS, Installation

Keep = Callable[[Record], bool]


def everything(_: Record) -> bool:
    return True


class Roles:
    """Deciding and sending, driven by a test."""

    def __init__(self, postrider: Installation) -> None:
        self._postrider = postrider
        config = postrider.config
        settings = FlowSettings(
            rules=config.rules,
            partitions=PARTITIONS,
            address_key=b"k" * 16,
            lanes=config.lanes,
            sms_senders=tuple(config.sms_senders),
        )
        self._decide = topology.decide(settings, StopList(config.rules))
        self._receipts = ReceiptWriter(partitions=PARTITIONS)
        self._states = [MemoryState(partition) for partition in range(PARTITIONS)]
        self._done: dict[tuple[str, TopicPartition], int] = {}

    def remember(self, partition: int, *rows: Row) -> None:
        """Rows that deciding finds."""
        self._states[partition].apply(rows)

    def decide(self, *names: str, keep: Keep = everything) -> None:
        """Everything there is on these topics; of what follows, only what `keep` lets through."""
        for source in self._decide.sources:
            if source.topic in names:
                for record in self._unread(DECIDE, source.topic):
                    self._take(source, record, keep)

    def fan_out(self) -> None:
        """Every broadcast that was started, to its last member."""
        (timer,) = (each for each in self._decide.timers if each.name == "fan_out")
        for state in self._states:
            now_ms = round(time.time() * 1000)
            while due := timer.rows.due(state, now_ms, 1):
                items = [Item(timer.decode(value), row_key=key) for key, value in due]
                driven = asyncio.run(drive(timer.stage, BatchOf(items, now_ms, state)))
                self.commit(DECIDE, None, driven.rows, driven.records)

    def send(self, topic: str, fact: Fact | None, *, keep: Keep = everything) -> None:
        """Every delivery on the topic gets a receipt; without a fact it is put on the schedule."""
        role = topic.split(".")[1]
        for record in self._unread(role, topic):
            batch = decode_batch(record.value or b"")
            if fact is None:
                rows, records = [_retry(batch)], []
            else:
                rows, records = [], self._told(batch, fact)
            self.commit(role, record, rows, [each for each in records if keep(each)])

    def commit(
        self,
        role: str,
        read: InboundRecord | None,
        rows: Iterable[Row],
        records: Iterable[Record],
        *,
        abort: bool = False,
    ) -> None:
        """One transaction of a role; the group's offset tells that it has read `read`."""
        place = None if read is None else TopicPartition(read.topic, read.partition)
        offsets = {} if read is None or place is None else {place: read.offset + 1}
        partition = place.partition if place else 0
        logged = [
            Record(changelog(role, row.kind), partition, row.value, row.key)
            for row in rows
            if row.kind is Kind.DURABLE
        ]
        self._postrider.run(self._commit(role, [*logged, *records], offsets, abort))
        if place is not None and read is not None and not abort:
            self._done[role, place] = read.offset + 1

    def _unread(self, role: str, topic: str) -> list[InboundRecord]:
        return [
            record
            for record in self._postrider.read(topic)
            if record.offset >= self._done.get((role, TopicPartition(topic, record.partition)), 0)
        ]

    def _take(self, source: Source, record: InboundRecord, keep: Keep) -> None:
        now_ms = round(time.time() * 1000)
        envelopes, state = self._decide.envelopes, self._states[record.partition]
        item = envelopes.item(record, is_forwarded=source.is_forwarded)
        rows: Sequence[Row] = ()
        try:
            item.value = source.decode(record)
        except ValueError as error:
            cause, detail = envelopes.explain(error)
            records = [
                envelopes.dead_letter(
                    item, stage=source.stage.name, cause=cause, detail=detail, now_ms=now_ms
                )
            ]
        else:
            home = record.partition
            if source.user_of is not None:
                (home,) = envelopes.homes([source.user_of(item.value)])
            if home != record.partition:
                records = [envelopes.forward(item, home)]
            else:
                driven = asyncio.run(drive(source.stage, BatchOf([item], now_ms, state)))
                rows, records = driven.rows, driven.records
        self.commit(DECIDE, record, rows, [each for each in records if keep(each)])

    def _told(self, batch: DeliveryBatch, fact: Fact) -> list[Record]:
        told = self._receipts.at(round(time.time() * 1000))
        return [
            told.target(fact, batch.body_of(target), batch.channel, target, "m1")
            for target in batch.targets
        ]

    async def _commit(
        self,
        role: str,
        records: Iterable[Record],
        offsets: Mapping[TopicPartition, int],
        abort: bool,
    ) -> None:
        names = self._postrider.config.kafka.names
        connection: Mapping[str, Any] = self._postrider.config.kafka.connection()
        producer = AIOKafkaProducer(**connection, transactional_id=names.transactional_id(role, 0))
        await producer.start()
        try:
            await producer.begin_transaction()
            for each in records:
                topic = names.physical(each.topic)
                await producer.send(
                    topic, each.value, each.key, each.partition, headers=list(each.headers)
                )
            if offsets:
                read = {
                    KafkaPartition(names.physical(place.topic), place.partition): OffsetAndMetadata(
                        offset, ""
                    )
                    for place, offset in offsets.items()
                }
                await producer.send_offsets_to_transaction(read, names.group(role))
            await (producer.abort_transaction() if abort else producer.commit_transaction())
        finally:
            await producer.stop()


def _retry(batch: DeliveryBatch) -> Row:
    return SCHEDULES[batch.lane].put(1, batch.targets[0].delivery_id, encode_batch(batch))
