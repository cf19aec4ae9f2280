"""R1 on a real Kafka: the one transactional producer of a role-partition.

Four guards make aiokafka safe enough to build on, each with a test: the back-off between two
transactions (see `faust_patches`), all partitions registered in one request before the first
send, a short transaction timeout, and a new producer after a request that nobody answered: it may
arrive yet, beside its twin that was sent again. aiokafka speaks the protocol without an epoch for
each transaction, so a late EndTxn could commit half of the next one, late partitions would open
one that nobody ends, and late records make the next ones look out of order.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    ProducerFenced,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest
from aiokafka.structs import ConsumerRecord
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.kafka import TopicPartition
from streams.engine.ports import Committed, Lease, Transaction
from streams.names import Names, changelog
from streams.patience import Patience
from streams.restore import ChangelogReader
from tables.packing import pack_rows
from tables.state import Kind

MAX_BATCH_BYTES = 1_000_000
COMPRESSION = "zstd"
"""A third of the time of lz4, which aiokafka asks for at its highest level, and a third smaller."""
_RENEW_SECONDS = 86_400.0
"""A producer idle for `transactional.id.expiration.ms` (7 days) is forgotten by the broker and
fails its next transaction; one that is renewed daily never is."""
_CLOSE_SECONDS = 5.0
_OF_A_TRANSACTION = (AddPartitionsToTxnRequest, ProduceRequest, EndTxnRequest)


class Fenced(RuntimeError):
    """Raised when somebody else has initialised the partition's producer: we lost it."""


class Overtaken(RuntimeError):
    """Raised when somebody else has written to the partition's changelogs while we had it: what we
    remember is stale, and whoever takes over next must read it all."""


class OwnersLease(Lease, Protocol):
    """What a `KafkaLog` needs of the group's lease."""

    async def wait_until_renewed(self) -> None:
        """Until a heartbeat sent from now on was answered: nobody else owns the partition yet."""
        ...


class _Appended(Protocol):
    offset: int


_Content = tuple[bytes | None, bytes | None, list[tuple[str, bytes]] | None]
"""Key, value and headers of a record."""


class KafkaLog:
    """A `TransactionLog` on aiokafka; commits one transaction at a time.

    `on_committed` is told how many seconds each took.
    """

    timeout_ms = 10_000
    """How long readers may wait behind a worker that died: the broker aborts after it."""

    def __init__(
        self,
        *,
        role: str,
        partition: int,
        names: Names,
        connection: Mapping[str, Any],
        lease: OwnersLease,
        patience: Patience,
        changelogs: ChangelogReader,
        on_committed: Callable[[float], None] = lambda seconds: None,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._role = role
        self._partition = partition
        self._names = names
        self._connection = connection
        self._lease = lease
        self._patience = patience
        self._changelogs = changelogs
        self._on_committed = on_committed
        self._monotonic_seconds = monotonic_seconds
        self._producer: AIOKafkaProducer | None = None
        self._may_arrive_late = False
        self._last_at = 0.0
        self._known_ends = [0, 0]

    async def start(self) -> None:
        producer = AIOKafkaProducer(
            **self._connection,
            transactional_id=self._names.transactional_id(self._role, self._partition),
            transaction_timeout_ms=self.timeout_ms,
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=8 * MAX_BATCH_BYTES,
            compression_type=COMPRESSION,
            retry_backoff_ms=20,
        )
        self._watch_requests(producer)
        try:
            await self._patience.wait_for(producer.start)
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer
        self._may_arrive_late = False
        self._last_at = self._monotonic_seconds()

    def restored(self, ends: tuple[int, int]) -> None:
        self._known_ends = list(ends)

    async def commit(self, transaction: Transaction) -> Committed:
        if self._may_arrive_late or self._monotonic_seconds() - self._last_at > _RENEW_SECONDS:
            await self._renew()
        began = self._monotonic_seconds()
        try:
            committed = await self._attempt(transaction)
        except Fenced:
            # By a new owner, or by the broker, which aborts a transaction that takes too long, as
            # when it was away meanwhile: then the partition is still ours, and we do it again.
            await self._lease.wait_until_renewed()
            await self._renew()
            await self._refuse_if_overtaken()
            committed = await self._attempt(transaction)
        for kind in Kind:
            if (offset := committed.offsets[kind]) is not None:
                self._known_ends[kind] = offset + 1
        self._last_at = self._monotonic_seconds()
        self._on_committed(self._last_at - began)
        return committed

    async def close(self) -> None:
        """Nothing is open between transactions; a broker that is away must not hold us."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await asyncio.wait([asyncio.ensure_future(producer.stop())], timeout=_CLOSE_SECONDS)

    async def _renew(self) -> None:
        """A new producer in place of the old one.

        Initialising fences whoever owns the partition now. If that were another worker, ours
        would be stale memory writing again: so a heartbeat that is sent *after* it must be answered,
        or ends the process.
        """
        await self.close()
        await self.start()
        await self._lease.wait_until_renewed()

    async def _refuse_if_overtaken(self) -> None:
        """Whoever fenced us may have committed before we fenced them: a worker that took over late,
        by an assignment that the group had given up already."""
        places = {
            TopicPartition(changelog(self._role, kind), self._partition): self._known_ends[kind]
            for kind in Kind
        }
        for place, (begin, end) in (await self._changelogs.bounds(list(places))).items():
            await self._changelogs.read(place, max(begin, places[place]), end, _refuse)

    async def _attempt(self, transaction: Transaction) -> Committed:
        """Raises `Fenced` when it is certain that nothing of it was or will be committed."""
        assert self._producer is not None, "commit before start"
        try:
            return await self._commit(self._producer, transaction)
        except Exception as error:
            # Some call says so itself; whichever came next may say something else about the dead.
            if any(isinstance(e, ProducerFenced) for e in (error, _what_ended(self._producer))):
                raise Fenced(f"{self._role}-{self._partition}") from error
            raise

    async def _commit(self, producer: AIOKafkaProducer, transaction: Transaction) -> Committed:
        await producer.begin_transaction()
        places = self._by_place(transaction)
        manager = producer._txn_manager
        for place in places:  # all in one AddPartitions: the sender has had no turn in between
            manager.maybe_add_partition_to_txn(place)
        appended = await asyncio.gather(
            *(self._append(producer, place, each) for place, each in places.items())
        )
        last_offsets = dict(zip(places, appended, strict=True))
        await producer.commit_transaction()
        offsets = [
            last_offsets[self._changelog(kind)] if transaction.rows[kind] else None for kind in Kind
        ]
        return Committed((offsets[0], offsets[1]))

    async def _append(
        self, producer: AIOKafkaProducer, place: KafkaPartition, contents: Sequence[_Content]
    ) -> int:
        """Append in order, one batch after the other; returns the last record's offset.

        Each is acknowledged before the next is handed over: aiokafka gives up one that waits for
        longer than a request may take, which it does while the broker is away.
        """
        builder, count = producer.create_batch(), 0
        for key, value, headers in contents:
            while builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
                # A first record always fits: the broker's limit is another.
                await self._send(producer, builder, place)
                builder, count = producer.create_batch(), 0
            count += 1
        offset = await self._send(producer, builder, place)
        if offset < 0:  # a resent batch whose first answer was lost, and its metadata with it
            raise RuntimeError(f"the broker did not say where it appended to {place}")
        return offset + count - 1

    async def _send(self, producer: AIOKafkaProducer, builder: Any, place: KafkaPartition) -> int:
        """The offset of the batch's first record."""
        await _know(producer, place.topic)
        sent = await producer.send_batch(builder, place.topic, partition=place.partition)
        appended: _Appended = await sent
        return appended.offset

    def _by_place(self, transaction: Transaction) -> dict[KafkaPartition, Sequence[_Content]]:
        contents: dict[KafkaPartition, Sequence[_Content]] = {}
        transient, durable = transaction.rows
        if transient:
            packs = pack_rows(transient.items())
            contents[self._changelog(Kind.TRANSIENT)] = [(None, pack, None) for pack in packs]
        if durable:
            rows = [(key, value, None) for key, value in durable.items()]
            contents[self._changelog(Kind.DURABLE)] = rows
        places: dict[tuple[str, int], list[_Content]] = {}
        for record in transaction.records:
            at = record.topic, record.partition
            place = places.get(at)
            if place is None:
                place = places[at] = []
            headers = list(record.headers) if record.headers else None
            place.append((record.key, record.value, headers))
        contents.update((self._place(*place), some) for place, some in places.items())
        return contents

    def _changelog(self, kind: Kind) -> KafkaPartition:
        return self._place(changelog(self._role, kind), self._partition)

    def _place(self, topic: str, partition: int) -> KafkaPartition:
        return KafkaPartition(self._names.physical(topic), partition)

    def _watch_requests(self, producer: AIOKafkaProducer) -> None:
        client_send = producer.client.send

        async def send(node_id: int, request: Any, **options: Any) -> Any:
            try:
                return await client_send(node_id, request, **options)
            except (KafkaConnectionError, RequestTimedOutError):
                self._may_arrive_late |= isinstance(request, _OF_A_TRANSACTION)
                raise

        producer.client.send = send


def _refuse(records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
    """None of them is ours: what we tried was aborted."""
    place = f"{records[0].topic}:{records[0].partition}"
    raise Overtaken(f"{place} was written by somebody else at {records[0].offset}")


async def _know(producer: AIOKafkaProducer, topic: str) -> None:
    """Until its partitions are known: a broker that answers nothing does not mean there are none."""
    client = producer.client
    while True:
        try:
            await producer.partitions_for(topic)
            return
        except UnknownTopicOrPartitionError:
            is_answered = await client.force_metadata_update()
            if is_answered and client.cluster.partitions_for_topic(topic) is None:
                raise


def _what_ended(producer: AIOKafkaProducer) -> BaseException | None:
    """The error that made the producer useless; asyncio complains if nobody ever asks."""
    transaction = producer._txn_manager.wait_for_transaction_end()
    return transaction.exception() if transaction.done() else None
