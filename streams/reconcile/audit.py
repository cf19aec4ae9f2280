"""Computes both equations, a partition of users at a time.

A user's requests and receipts are in partitions of the same number (a misplaced request once
it was forwarded), so memory is bounded by the fullest partition's share of the cohort. Only
deliveries by SMS are elsewhere: what is open of them is looked for at the end.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import islice

from schemas import ids, topics
from schemas.batch_record import MAX_REQUESTS, parts_of
from schemas.broadcast import decode_accepted
from schemas.dead_letter import decode_dead_letter
from schemas.forwarding import Origin, origin_of
from schemas.kafka import InboundRecord, TopicPartition
from schemas.receipt import Receipt, decode_receipt
from streams.assembly import layout_of
from streams.config import Config
from streams.reading import Reader
from streams.reconcile import snapshot
from streams.reconcile.deliveries import Deliveries, Standing
from streams.reconcile.identify import Identity, identify_broadcast, identify_request
from streams.reconcile.report import Reconciliation
from streams.reconcile.requests import Fate, Requests
from streams.reconcile.search import Missing, Search, left_elsewhere
from streams.reconcile.snapshot import Snapshot
from streams.reconcile.span import Span

_EXAMPLES = 20
_PLACES = MAX_REQUESTS + 1
"""Of a record: alone, or one in a batch."""

Progress = Callable[[], None]


def _quietly() -> None: ...


async def reconcile(
    config: Config,
    *,
    since_ms: int = 0,
    until_ms: int | None = None,
    on_partition: Progress = _quietly,
) -> Reconciliation:
    """Of the requests appended from `since_ms` to before `until_ms`, by default all there are.

    `on_partition` is told after each one. An open transaction is waited for.
    """
    connection = config.kafka.connection()
    async with Reader(names=config.kafka.names, connection=connection) as reader:
        taken = await snapshot.take(
            reader,
            names=config.kafka.names,
            connection=connection,
            topics={topic.name for topic in layout_of(config).topics()},
            partitions=config.partitions,
        )
        search = Search(reader, taken)
        span = Span(reader, since_ms, until_ms)
        audit = _Audit(taken, span, search, tuple(config.lanes), config.partitions)
        return await audit.run(on_partition)


class _Audit:
    """One run; what it has found so far."""

    def __init__(
        self,
        taken: Snapshot,
        span: Span,
        search: Search,
        ingress: Sequence[str],
        partitions: int,
    ) -> None:
        self._taken = taken
        self._span = span
        self._search = search
        self._ingress = ingress
        self._partitions = partitions
        self._dead: set[tuple[str, int, int, int]] = set()
        self._broadcasts = Requests([topics.BROADCASTS_REQUESTED])
        self._misplaced: defaultdict[TopicPartition, array[int]] = defaultdict(lambda: array("q"))
        self._forwarded: defaultdict[TopicPartition, array[int]] = defaultdict(lambda: array("q"))
        """Both by place, with offset and part as one number."""
        self._fates: Counter[Fate] = Counter()
        self._lost_requests: list[Origin] = []
        self._deliveries = 0
        self._standings: Counter[Standing] = Counter()
        self._lost_deliveries: Missing = {}

    async def run(self, on_partition: Progress) -> Reconciliation:
        await self._read_dead_letters()
        await self._read_broadcasts()
        away: Missing = {}
        for partition in range(self._partitions):
            away |= await self._users_of(partition)
            on_partition()
        await self._search.elsewhere(away, self._partitions)
        self._lost_deliveries |= away
        self._count(self._broadcasts)
        self._count_misplaced()
        return self._result()

    def _result(self) -> Reconciliation:
        lost = Counter(each.standing for each in self._lost_deliveries.values())
        return Reconciliation(
            requests=sum(self._fates.values()),
            fates=self._fates,
            deliveries=self._deliveries,
            standings=self._standings - lost,
            overtaken=self._taken.overtaken,
            lost_requests=[str(each) for each in self._lost_requests[:_EXAMPLES]],
            lost_deliveries=[
                f"{ids.to_text(delivery_id)} ({each.channel}, {each.standing.label})"
                for delivery_id, each in islice(self._lost_deliveries.items(), _EXAMPLES)
            ],
        )

    async def _users_of(self, partition: int) -> Missing:
        """Requests, receipts and open deliveries of a partition; what may yet be found elsewhere."""
        requests = Requests(self._ingress)
        for topic in self._ingress:
            await self._read_requests(requests, TopicPartition(topic, partition))
            forwarded = TopicPartition(topics.forwarded(topic), partition)
            await self._read_forwarded(requests, forwarded)
        deliveries = Deliveries()
        async for record in self._span.following(topics.RECEIPTS, [partition]):
            self._note(requests, deliveries, record)
        self._count(requests)
        self._deliveries += len(deliveries)
        self._standings += deliveries.counts()
        missing = dict(deliveries.open())
        await self._search.at_home(missing, partition)
        away = left_elsewhere(missing)
        self._lost_deliveries |= missing
        return away

    async def _read_requests(self, requests: Requests, place: TopicPartition) -> None:
        """Those where their producer put them; misplaced ones are counted where they went."""
        async for whole in self._span.cohort(place):
            for record in parts_of(whole):
                origin = origin_of(record)
                found, fate = identify_request(record, origin), self._first_fate(record)
                if found is None or fate is Fate.REJECTED or self._is_home(found, place):
                    requests.add(found.request_id if found else b"", origin, fate)
                else:
                    self._misplaced[place].append(_number(origin))

    async def _read_forwarded(self, requests: Requests, place: TopicPartition) -> None:
        async for record in self._span.following(place.topic, [place.partition]):
            origin = origin_of(record)
            if origin.topic == record.topic or not self._span.holds(origin.appended_ms):
                continue
            found, fate = identify_request(record, origin), self._first_fate(record)
            home = TopicPartition(origin.topic, origin.partition)
            if origin.partition != place.partition:
                self._forwarded[home].append(_number(origin))
            requests.add_again(found.request_id if found else b"", origin, fate)

    async def _read_broadcasts(self) -> None:
        for partition in range(self._partitions):
            place = TopicPartition(topics.BROADCASTS_REQUESTED, partition)
            async for record in self._span.cohort(place):
                origin = origin_of(record)
                found = identify_broadcast(record, origin)
                request_id = found.request_id if found else b""
                self._broadcasts.add(request_id, origin, self._first_fate(record))
        if len(self._broadcasts):
            everywhere = range(self._partitions)
            async for record in self._span.following(topics.BROADCASTS_ACCEPTED, everywhere):
                body = decode_accepted(record.value or b"").body
                self._broadcasts.accepted(body.broadcast_id, body.accepted_ms)

    async def _read_dead_letters(self) -> None:
        async for record in self._span.following(topics.DEAD_LETTERS, range(self._partitions)):
            letter = decode_dead_letter(record.value or b"")
            if letter.kind == "record":
                self._dead.add((letter.topic, letter.partition, letter.offset, letter.part))

    def _note(self, requests: Requests, deliveries: Deliveries, record: InboundRecord) -> None:
        receipt = decode_receipt(record.value or b"")
        cohort = self._broadcasts if receipt.broadcast_id else requests
        if receipt.kind == "request":
            _note_refusal(cohort, receipt)
        elif receipt.kind == "delivery":
            delivery_id = ids.from_text(receipt.delivery_id)
            if delivery_id in deliveries or _is_decided(cohort, receipt, delivery_id):
                deliveries.note(delivery_id, receipt)

    def _first_fate(self, record: InboundRecord) -> Fate:
        """What its coordinates alone tell."""
        if (record.topic, record.partition, record.offset, record.part) in self._dead:
            return Fate.REJECTED
        place = TopicPartition(record.topic, record.partition)
        return Fate.LOST if self._taken.is_read(place, record.offset) else Fate.WAITING

    def _is_home(self, found: Identity, place: TopicPartition) -> bool:
        return ids.partition_of_id(found.request_id, self._partitions) == place.partition

    def _count(self, requests: Requests) -> None:
        self._fates += requests.counts()
        self._lost_requests += islice(requests.lost(), _EXAMPLES)

    def _count_misplaced(self) -> None:
        """Those that were forwarded are counted already; the others wait for it, or are lost."""
        for place, numbers in self._misplaced.items():
            for number in sorted(set(numbers).difference(self._forwarded[place])):
                offset, part = divmod(number, _PLACES)
                if not self._taken.is_read(place, offset):
                    self._fates[Fate.WAITING] += 1
                    continue
                self._fates[Fate.LOST] += 1
                if len(self._lost_requests) < _EXAMPLES:
                    self._lost_requests.append(Origin(*place, offset, 0, part - 1))


def _number(origin: Origin) -> int:
    return origin.offset * _PLACES + origin.part + 1


def _is_decided(cohort: Requests, receipt: Receipt, delivery_id: bytes) -> bool:
    request_id = ids.from_text(receipt.broadcast_id or receipt.notification_id)
    notification_id = ids.from_text(receipt.notification_id)
    return cohort.decided_as(request_id, notification_id, receipt.channel, delivery_id)


def _note_refusal(cohort: Requests, receipt: Receipt) -> None:
    request_id = ids.from_text(receipt.broadcast_id or receipt.notification_id)
    receipt_id = ids.from_text(receipt.receipt_id)
    cohort.refused(request_id, receipt_id, receipt.status, receipt.reason)
