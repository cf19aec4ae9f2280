"""R1 on a real Kafka: the one transactional producer of a role-partition.

Guards, each with a test: all partitions registered in one request before the first is written to; a
transaction that the broker gave up is looked for where it was written to, and only what does not
count is written again; and a new producer after a request that nobody answered: it may arrive yet,
beside its twin that was sent again. The protocol that brokers before 4.0 speak, too,
has no epoch for each transaction, so a late EndTxn could commit half of the next one, late
partitions would open one that nobody ends, and late records make the next ones look out of order.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import compress, groupby, repeat
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Protocol

from aiokafka.errors import ProducerFenced
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.kafka import Record, TopicPartition
from streams.batches import Content, batches_of
from streams.committed import CommittedRecord
from streams.engine.ports import Committed, Lease, Transaction
from streams.names import Names, changelog
from streams.patience import Patience
from streams.refusals import OnceAMinute
from streams.restore import ChangelogReader
from streams.transactional_producer import GivenUp, Spans, TransactionalProducer
from streams.watched_clock import WatchedClock
from tables.packing import pack_rows
from tables.state import Kind

log = logging.getLogger("postrider.kafka")

_RENEW_SECONDS = 86_400.0
"""A producer idle for `transactional.id.expiration.ms` (7 days) is forgotten by the broker and
fails its next transaction; one that is renewed daily never is."""
_CLOSE_SECONDS = 5.0
_PLACE_OF = attrgetter("topic", "partition")
_CONTENT_OF: Callable[[Record], Content] = attrgetter("key", "value", "headers")


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


class KafkaLog:
    """A `TransactionLog` on Kafka; commits one transaction at a time.

    `on_committed` is told how many seconds each took.
    """

    timeout_ms = 30_000
    """How long readers may wait behind a worker that died, if nobody takes over: the broker aborts
    after it. Longer than it takes until a broker that died is replaced (9 s at least, 12 were
    seen), or each transaction that it had a part in would be given up, and done again."""

    def __init__(
        self,
        *,
        role: str,
        partition: int,
        names: Names,
        connection: Mapping[str, Any],
        lease: OwnersLease,
        clock: WatchedClock,
        patience: Patience,
        changelogs: ChangelogReader,
        voice: OnceAMinute,
        on_committed: Callable[[float], None] = lambda seconds: None,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._role = role
        self._partition = partition
        self._names = names
        self._connection = connection
        self._lease = lease
        self._clock = clock
        self._patience = patience
        self._changelogs = changelogs
        self._voice = voice
        self._on_committed = on_committed
        self._monotonic_seconds = monotonic_seconds
        self._producer: TransactionalProducer | None = None
        self._last_at = 0.0
        self._known_ends = [0, 0]

    async def start(self) -> None:
        """Returns when no earlier owner can commit any more, and it is known how far they got: a broker
        that led the changelogs once may still answer for them, and tell of less."""
        await self._start(closing=())

    async def _start(self, closing: Collection[KafkaPartition]) -> None:
        try:
            await self._begin(closing)
        except Fenced:  # by another owner, or by the broker, which gave the mark up: as in `commit`
            await self._lease.wait_until_renewed()
            await self._begin(closing)

    async def _begin(self, closing: Collection[KafkaPartition]) -> None:
        producer = TransactionalProducer(
            self._connection,
            transactional_id=self._names.transactional_id(self._role, self._partition),
            timeout_ms=self.timeout_ms,
            clock=self._clock,
            voice=self._voice,
        )
        try:
            await self._patience.wait_for(producer.start)
            changelogs = [self._changelog(kind) for kind in Kind]
            marks = await producer.mark(changelogs, closing=closing)
        except BaseException as error:
            await producer.stop()
            if isinstance(error, ProducerFenced):
                raise Fenced(f"{self._role}-{self._partition}") from error
            raise
        for kind in Kind:
            place = TopicPartition(changelog(self._role, kind), self._partition)
            self._changelogs.must_reach(place, marks[self._changelog(kind)])
        self._producer = producer
        self._last_at = self._monotonic_seconds()

    def restored(self, ends: tuple[int, int]) -> None:
        self._known_ends = list(ends)

    async def commit(self, transaction: Transaction) -> Committed:
        assert self._producer is not None, "commit before start"
        is_old = self._monotonic_seconds() - self._last_at > _RENEW_SECONDS
        if is_old or not self._producer.is_clean:
            await self._renew()
        began = self._monotonic_seconds()
        spans = await self._commit(transaction)
        self._know_ends(spans)
        self._last_at = self._monotonic_seconds()
        self._on_committed(self._last_at - began)
        transient, durable = (
            spans[self._changelog(kind)][1] if transaction.rows[kind] else None for kind in Kind
        )
        return Committed((transient, durable))

    async def _commit(self, transaction: Transaction) -> Spans:
        """All of it, once.

        Fenced by a new owner, it waits for its lease, and with that for the end of the process.
        Fenced by the broker, which aborts a transaction that takes too long, as when it was away
        meanwhile, we still own the partition: all of it that does not count is done again.
        """
        counting: dict[KafkaPartition, tuple[int, int]] = {}
        is_first = True
        while True:
            began = self._monotonic_seconds()
            try:
                return {**counting, **await self._attempt(transaction, counting)}
            except GivenUp as error:
                seconds = self._monotonic_seconds() - began
                if not is_first and seconds < self.timeout_ms / 1000:
                    # Too soon for the broker: two processes with one id outside of a group must
                    # not fence each other for ever.
                    raise Fenced(f"{self._role}-{self._partition}") from error
                is_first = False
                await self._lease.wait_until_renewed()
                counting.update(await self._renew(error.appended))

    async def close(self) -> None:
        """Nothing is open between transactions; a broker that is away must not hold us."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await asyncio.wait([asyncio.ensure_future(producer.stop())], timeout=_CLOSE_SECONDS)

    async def _renew(self, appended: Spans = MappingProxyType({})) -> Spans:
        """A new producer in place of the old one. Returns what counts of that which had been `appended`
        when the old one was given up.

        Initialising fences whoever owns the partition now. If that were another worker, ours
        would be stale memory writing again: so a heartbeat that is sent *after* it must be answered,
        or ends the process. A good one does not tell whether there was an owner in between, whom
        this very initialising may have fenced.
        """
        await self.close()
        await self._start(closing=appended)
        await self._lease.wait_until_renewed()
        counting = await self._counting(appended)
        self._know_ends(counting)
        await self._refuse_if_overtaken()
        return counting

    async def _counting(self, appended: Spans) -> Spans:
        is_committed = self._changelogs.is_committed
        looks = [
            is_committed(self._logical(place), first) for place, (first, _) in appended.items()
        ]
        are_committed = await asyncio.gather(*looks)
        counting = dict(compress(appended.items(), are_committed))
        if counting and len(counting) < len(appended):
            log.error("a transaction was torn", extra={"counts_in": _named(counting),
                      "does_not_count_in": _named(appended.keys() - counting.keys())})  # fmt: skip
        return counting

    async def _refuse_if_overtaken(self) -> None:
        """Whoever was the owner may have committed before we fenced them: a worker that took over late,
        by an assignment that the group had given up already."""
        places = {
            TopicPartition(changelog(self._role, kind), self._partition): self._known_ends[kind]
            for kind in Kind
        }
        for place, (begin, end) in (await self._changelogs.bounds(list(places))).items():
            refuse = partial(_refuse, place)
            await self._changelogs.read(place, max(begin, places[place]), end, refuse)

    async def _attempt(
        self, transaction: Transaction, counting: Collection[KafkaPartition]
    ) -> Spans:
        """Of all that does not count yet. Raises `GivenUp`."""
        assert self._producer is not None, "started, or renewed"
        batches = {
            place: batches_of(contents)
            for place, contents in self._by_place(transaction).items()
            if place not in counting
        }
        return await self._producer.commit(batches) if batches else {}

    def _know_ends(self, spans: Spans) -> None:
        for kind in Kind:
            if (span := spans.get(self._changelog(kind))) is not None:
                self._known_ends[kind] = span[1] + 1

    def _by_place(self, transaction: Transaction) -> dict[KafkaPartition, Iterable[Content]]:
        """To be gone through once."""
        contents: dict[KafkaPartition, Iterable[Content]] = {}
        transient, durable = transaction.rows
        if transient:
            packs = pack_rows(transient.items())
            contents[self._changelog(Kind.TRANSIENT)] = ((None, pack, ()) for pack in packs)
        if durable:
            rows = zip(durable.keys(), durable.values(), repeat(()), strict=False)
            contents[self._changelog(Kind.DURABLE)] = rows
        places: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        for place, run in groupby(transaction.records, _PLACE_OF):  # receipts come in long runs
            places[place] += run
        for place, some in places.items():
            contents[self._place(*place)] = map(_CONTENT_OF, some)
        return contents

    def _changelog(self, kind: Kind) -> KafkaPartition:
        return self._place(changelog(self._role, kind), self._partition)

    def _place(self, topic: str, partition: int) -> KafkaPartition:
        return KafkaPartition(self._names.physical(topic), partition)

    def _logical(self, place: KafkaPartition) -> TopicPartition:
        return TopicPartition(self._names.logical(place.topic), place.partition)


def _named(places: Iterable[KafkaPartition]) -> str:
    return ", ".join(sorted(f"{place.topic}:{place.partition}" for place in places))


def _refuse(place: TopicPartition, records: Iterable[CommittedRecord], last_offset: int) -> None:
    """None of them is ours: what counts of that is behind us."""
    for record in records:
        raise Overtaken(
            f"{place.topic}:{place.partition} was written by somebody else at {record.offset}"
        )
