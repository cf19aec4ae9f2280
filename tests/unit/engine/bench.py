"""One partition of the small sending role on a broker in memory."""

import asyncio
import collections
import random
from collections.abc import Callable, Collection, Sequence

from schemas.kafka import Record, TopicPartition
from schemas.outcome import Accepted, NotProcessed, Outcome
from streams.engine.ports import RestoreReport
from streams.engine.routes import Topology
from streams.engine.runner import Bounds, Runner, RunnerSettings
from streams.watched_clock import ClockAskew
from tables.state import Kind, StoreFailed
from tests.simulation.broker import Broker
from tests.simulation.disk import Files, MemoryLog, MemoryStore
from tests.simulation.process import Notes
from tests.simulation.small import DELIVERIES, RECEIPTS, send_topology

SOURCE = TopicPartition(DELIVERIES, 0)


SETTLED = TopicPartition(RECEIPTS, 0)


SETTINGS = RunnerSettings(
    max_open_calls=2, drain_seconds=0.05, cut_grace_seconds=0.5, tick_seconds=0.005,
    disbelief_seconds=0.05,
)  # fmt: skip


class AnsweringProvider:
    """Accepts at once, except those that it never answers."""

    def __init__(self) -> None:
        self.asked: collections.Counter[bytes] = collections.Counter()
        self.silent_about: set[bytes] = set()
        self.busy_for: set[bytes] = set()
        """Whom it sends away, the first time."""
        self.ignores_cuts = False
        self.let_go = asyncio.Event()
        self.is_asked = asyncio.Event()

    async def request(self, delivery_ids: Sequence[bytes]) -> list[Outcome]:
        self.asked[delivery_ids[0]] += 1
        self.is_asked.set()
        if delivery_ids[0] in self.silent_about:
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                if not self.ignores_cuts:
                    raise
                await self.let_go.wait()
        if delivery_ids[0] in self.busy_for:
            self.busy_for.remove(delivery_ids[0])
            return [NotProcessed()]
        return [Accepted()]


class GivenLease:
    good = True

    def is_good(self) -> bool:
        return self.good

    async def wait_until_good(self) -> None: ...


class TidiedStore(MemoryStore):
    """Counts how often it is tidied, tells when it is restored, and may refuse to be closed."""

    tidied = 0
    looks = 0
    """Whether it rests."""
    horizon_ms = 0
    can_close = True
    scans = 0
    told: list[str]

    async def restore(self) -> RestoreReport:
        self.told.append("restore")
        return await super().restore()

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        self.scans += 1
        return super().scan(kind, start, end, limit)

    def tidy(self, now_ms: int, horizon_ms: int) -> None:
        self.tidied += 1
        self.horizon_ms = horizon_ms

    def merge_at_rest(self) -> None:
        self.looks += 1

    def close(self) -> None:
        if not self.can_close:
            raise StoreFailed("no room")
        super().close()


class ToldLog(MemoryLog):
    """Tells when it has fenced the owner before."""

    told: list[str]

    async def start(self) -> None:
        await super().start()
        self.told.append("fence")


class Bench:
    """One partition of the small sending role on a broker in memory; lives come and go."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.last_heard_ms = 0
        """When its sources were last asked for more, and had none."""
        self.is_clock_known = True
        self.is_clock_set = False
        self.broker = Broker(now_ms=lambda: self.now_ms, randomness=random.Random(1))
        self.files = Files()
        self.provider = AnsweringProvider()
        self.notes = Notes()
        self.deaths: list[BaseException] = []
        self.lease = GivenLease()
        self.stores: list[TidiedStore] = []
        self.told: list[str] = []
        """What a take-over did, in order."""
        self.lies_left = 0
        """So often whoever is asked for bounds leads nothing any more, and knows of no record."""
        self.runner = self.new_life()

    async def take_over(self) -> None:
        self.runner = self.new_life()
        seeks = await self.runner.partitions_assigned({0})
        records, _ = self.broker.read_committed(SOURCE, seeks[SOURCE], 100)
        for record in records:
            self.runner.push(record)

    def request(self, *delivery_ids: bytes) -> None:
        for delivery_id in delivery_ids:
            self.broker.append(Record(DELIVERIES, 0, delivery_id))

    def push(self, delivery_id: bytes) -> None:
        """A record that comes while the partition is open."""
        self.request(delivery_id)
        end = self.broker.log(SOURCE).end
        for record in self.broker.read_committed(SOURCE, end - 1, 1)[0]:
            self.runner.push(record)

    def statuses(self) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = collections.defaultdict(list)
        for record in self.broker.read_committed(SETTLED, 0, 100)[0]:
            delivery_id, status = (record.value or b"").split()
            found[delivery_id].append(status)
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110  # a look at the log, which tells nobody
                await asyncio.sleep(0.002)

    def new_life(self) -> Runner:
        async def bounds_of(places: Collection[TopicPartition]) -> Bounds:
            if self.lies_left:
                self.lies_left -= 1
                return dict.fromkeys(places, (0, 0))
            return {place: (0, self.broker.log(place).end) for place in places}

        async def before_open() -> None:
            self.told.append("before open")

        return Runner(
            topology=self.topology(),
            log_for=self._log_for,
            store_for=self._store_for,
            bounds_of=bounds_of,
            fenced=lambda numbers: self.told.append(f"fenced {numbers}"),
            before_open=before_open,
            lease=self.lease,
            clock=_Clock(self),
            control=self,
            observer=self.notes,
            settings=SETTINGS,
            die=self.deaths.append,
        )

    def topology(self) -> Topology:
        return send_topology(self.provider)

    def _log_for(self, number: int) -> MemoryLog:
        log = ToldLog(role="send", partition=number, broker=self.broker)
        log.told = self.told
        return log

    def _store_for(self, number: int) -> TidiedStore:
        store = TidiedStore(role="send", partition=number, files=self.files, broker=self.broker)
        store.told = self.told
        self.stores.append(store)
        return store

    def pause(self, source: TopicPartition) -> None: ...

    def resume(self, source: TopicPartition) -> None: ...

    def heard_ms(self, source: TopicPartition) -> int:
        return self.last_heard_ms


class _Clock:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def now_ms(self) -> int:
        return self._bench.now_ms

    def believed_ms(self) -> int | None:
        if self._bench.is_clock_set:
            raise ClockAskew("somebody has set it")
        return self._bench.now_ms if self._bench.is_clock_known else None
