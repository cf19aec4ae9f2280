"""Transactions of one partition's owner, spoken to Kafka in as few requests as there can be.

aiokafka's producer is made for many callers who each have a record: it gathers, lingers and keeps
a task for each step, which cost more than all that a small transaction says. Ours has one caller
with everything in hand: register the places, append to them, end it; what is not answered is asked
again, for as long as it takes. Connections, metadata and the encoding are aiokafka's.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    KafkaError,
    NodeNotReadyError,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)
from aiokafka.structs import TopicPartition as KafkaPartition

from streams.batches import Batch, Content, batches_of
from streams.refusals import BrokerFailed, OnceAMinute, Retries, worst_of
from streams.watched_clock import ClockAskew, WatchedClock

_ALL_REPLICAS = -1
_LAST_SEQUENCE = 2**31 - 1
_ABORT_SECONDS = 2.0
_MARK: Content = (b"mark", b"", ())
_T = TypeVar("_T")

Spans = Mapping[KafkaPartition, tuple[int, int]]
"""Offsets of the first and of the last record in each place."""


class GivenUp(ProducerFenced):  # type: ignore[misc]  # which has no types
    """Raised when a producer is fenced in the middle of a transaction: whether it counts is not known,
    where its end was asked for before. All that was to go to a place of `appended` is there."""

    def __init__(self, appended: Spans) -> None:
        super().__init__("fenced in the middle of a transaction")
        self.appended = appended


class TransactionalProducer:
    """One life of a transactional id: `start` fences whoever had it, and aborts what they left open.

    Commits one transaction at a time. After anything that `commit` raises it is of no use any more.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        *,
        transactional_id: str,
        timeout_ms: int,
        clock: WatchedClock,
        voice: OnceAMinute,
    ) -> None:
        """`connection` is what any aiokafka client is given; the broker aborts after `timeout_ms`.
        Nothing is committed that brokers date otherwise than `clock` does.
        `voice` tells of waits."""
        self._clock = clock
        self._voice = voice
        self._client = AIOKafkaClient(**{"client_id": transactional_id, **connection})
        self._request_timeout_ms = self._client._request_timeout_ms
        self._transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self._coordinator: int | None = None
        self._producer_id = -1
        self.epoch = -1
        self._sequences: dict[KafkaPartition, int] = {}
        self._is_committing = False
        self._is_answered = True
        """Each request so far, the first time that it was sent."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing of a last transaction may arrive yet: what was not answered may, beside
        its twin that was sent again."""
        return self._is_answered and not self._is_committing

    async def start(self) -> None:
        """Raises a `KafkaError` when no broker can be reached."""
        await self._client.bootstrap()
        request = InitProducerIdRequest(self._transactional_id, self._timeout_ms)
        answer = await self._ask_coordinator(
            request, lambda answer: [(self._transactional_id, answer.error_code)]
        )
        self._producer_id, self.epoch = answer.producer_id, answer.producer_epoch

    async def stop(self) -> None:
        await self._client.close()

    async def commit(self, batches: Mapping[KafkaPartition, Sequence[Batch]]) -> Spans:
        """All of them or none; returns where they were appended.

        Raises:
            ClockAskew: the clock is wrong.
            GivenUp: the id has another owner, or the broker gave the transaction up.
            KafkaError: the broker refuses something of it.
        """
        self._is_committing = True
        appended: dict[KafkaPartition, tuple[int, int]] = {}
        try:
            for place in batches:
                await self._know(place.topic)
            await self._register(batches)
            await self._append_all(batches, appended)
            await self.end()
        except ProducerFenced as error:
            raise GivenUp(appended) from error
        self._is_committing = False
        return appended

    async def _append_all(
        self,
        batches: Mapping[KafkaPartition, Sequence[Batch]],
        appended: dict[KafkaPartition, tuple[int, int]],
    ) -> None:
        """Tells `appended` of each place once all that goes there is."""
        firsts: dict[KafkaPartition, int] = {}
        asked_ms = self._clock.now_ms()
        for turn in range(max(map(len, batches.values()))):
            now = {place: some[turn] for place, some in batches.items() if turn < len(some)}
            for place, (offset, at_ms) in (await self._append(now)).items():
                first = firsts.setdefault(place, offset)
                if turn == len(batches[place]) - 1:
                    appended[place] = first, offset + now[place].count - 1
                try:
                    self._clock.compare(at_ms, asked_ms=asked_ms)
                except ClockAskew as error:
                    await self._abort()
                    raise ClockAskew(f"{place.topic}:{place.partition}: {error}") from None

    async def mark(
        self, places: Collection[KafkaPartition], *, closing: Collection[KafkaPartition] = ()
    ) -> dict[KafkaPartition, int]:
        """Append to each what will never count; returns where. All that was committed to them by now
        lies before it: who leads a place no more can answer, and cannot append. Nothing of ours is
        left open there, nor in `closing`, even if a broker has lost an end.

        Raises `ProducerFenced` where `commit` raises `GivenUp`."""
        self._is_committing = True
        all_places = {*places, *closing}
        for place in all_places:
            await self._know(place.topic)
        await self._register(all_places)
        appended = await self._append({place: batches_of([_MARK])[0] for place in places})
        await self._end(is_committed=False)
        self._is_committing = False
        return {place: offset for place, (offset, _) in appended.items()}

    async def end(self) -> None:
        """Commit what was registered and appended."""
        await self._end(is_committed=True)

    async def _abort(self) -> None:
        """Or readers would wait until the broker gives it up, as they do if this cannot be had soon."""
        with contextlib.suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(self._end(is_committed=False), _ABORT_SECONDS)

    async def _end(self, *, is_committed: bool) -> None:
        request = EndTxnRequest(self._transactional_id, self._producer_id, self.epoch, is_committed)
        await self._ask_coordinator(
            request, lambda answer: [(self._transactional_id, answer.error_code)]
        )

    async def _register(self, places: Iterable[KafkaPartition]) -> None:
        """All at once, and before the first is written to: one that comes late would open a
        transaction that nobody ends."""
        request = AddPartitionsToTxnRequest(
            self._transactional_id, self._producer_id, self.epoch,
            _by_topic((place, place.partition) for place in places),
        )  # fmt: skip
        await self._ask_coordinator(
            request,
            lambda answer: [
                (topic, code) for topic, partitions in answer.errors for _, code in partitions
            ],
        )

    async def _append(
        self, batches: Mapping[KafkaPartition, Batch]
    ) -> dict[KafkaPartition, tuple[int, int]]:
        """The offsets of their first records, and when these were appended by the broker's clock.

        Batches keep their sequence when they are sent again, and the broker knows the last five of
        each place: it says where it appended the first of twins.
        """
        waiting = {place: self._build(place, batch) for place, batch in batches.items()}
        appended: dict[KafkaPartition, tuple[int, int]] = {}
        retries = Retries(self._voice)
        while True:
            refusals: list[tuple[str, int]] = []
            for place, (code, offset, at_ms) in (await self._produce_all(waiting)).items():
                if code:
                    refusals.append((place.topic, code))
                else:
                    appended[place] = offset, at_ms
                    del waiting[place]
            if not waiting:
                return appended
            error = self._worst_of(refusals)
            if error is not None and not error.retriable:
                raise error
            if error is None or error.invalid_metadata:
                await self._client.force_metadata_update()
            await retries.wait(error)

    def _build(self, place: KafkaPartition, batch: Batch) -> bytes:
        sequence = self._sequences.get(place, 0)
        self._sequences[place] = (sequence + batch.count) & _LAST_SEQUENCE
        return batch.build(self._producer_id, self.epoch, sequence)

    async def _produce_all(
        self, waiting: Mapping[KafkaPartition, bytes]
    ) -> dict[KafkaPartition, tuple[int, int, int]]:
        """Error code, offset and time of those that were answered."""
        leaders: dict[int, list[KafkaPartition]] = {}
        for place in waiting:
            leader = self._client.cluster.leader_for_partition(place)
            if leader is not None and leader >= 0:
                leaders.setdefault(leader, []).append(place)
        requests = [self._produce(leader, some, waiting) for leader, some in leaders.items()]
        if len(requests) == 1:
            return await requests[0]
        answered: dict[KafkaPartition, tuple[int, int, int]] = {}
        for some in await asyncio.gather(*requests):
            answered |= some
        return answered

    async def _produce(
        self, leader: int, places: Iterable[KafkaPartition], waiting: Mapping[KafkaPartition, bytes]
    ) -> dict[KafkaPartition, tuple[int, int, int]]:
        topics = _by_topic((place, (place.partition, waiting[place])) for place in places)
        request = ProduceRequest(
            self._transactional_id, _ALL_REPLICAS, self._request_timeout_ms, topics
        )
        try:
            answer = await self._send(leader, request, ConnectionGroup.DEFAULT)
        except KafkaError as error:
            if not error.retriable:
                raise
            return {}
        return {
            KafkaPartition(topic, partition): (code, offset, at_ms)
            for topic, partitions in answer.topics
            for partition, code, offset, at_ms, *_ in partitions
        }

    async def _ask_coordinator(
        self, request: Any, codes_of: Callable[[Any], list[tuple[str, int]]]
    ) -> Any:
        """The answer that is no error."""
        retries = Retries(self._voice)
        while True:
            try:
                node = await self._find_coordinator()
                answer = await self._send(node, request, ConnectionGroup.COORDINATION)
                error = self._worst_of(codes_of(answer))
            except KafkaError as failure:
                error = failure
            if error is None:
                return answer
            if not isinstance(error, ConcurrentTransactions):
                if not error.retriable:
                    raise error
                self._coordinator = None
            await retries.wait(error)

    async def _find_coordinator(self) -> int:
        if self._coordinator is None:
            if self._client.get_random_node() is None:  # a broker that has just begun knows of none
                await self._client.force_metadata_update()
                raise NodeNotReadyError("no broker is known yet")
            self._coordinator = await self._client.coordinator_lookup(
                CoordinationType.TRANSACTION, self._transactional_id
            )
        return self._coordinator

    async def _send(self, node: int, request: Any, group: ConnectionGroup) -> Any:
        try:
            return await self._client.send(node, request, group=group)
        except NodeNotReadyError:  # it was not even sent
            raise
        except KafkaError:
            self._is_answered = False
            raise

    def _worst_of(self, codes: Iterable[tuple[str, int]]) -> KafkaError | None:
        error = worst_of(codes)
        if isinstance(error, BrokerFailed):  # which is no better than no answer
            self._is_answered = False
        return error

    async def _know(self, topic: str) -> None:
        """Until its partitions are known: a broker that answers nothing does not mean there are
        none."""
        client = self._client
        while client.cluster.partitions_for_topic(topic) is None:
            try:
                await client._wait_on_metadata(topic)
            except UnknownTopicOrPartitionError:
                is_answered = await client.force_metadata_update()
                if is_answered and client.cluster.partitions_for_topic(topic) is None:
                    raise


def _by_topic(pairs: Iterable[tuple[KafkaPartition, _T]]) -> list[tuple[str, list[_T]]]:
    topics: dict[str, list[_T]] = {}
    for place, each in pairs:
        topics.setdefault(place.topic, []).append(each)
    return list(topics.items())
