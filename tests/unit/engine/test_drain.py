"""R4: what a drain ends, what it leaves to the next owner, and that nothing else is in doubt."""

import asyncio
import collections
import random
from collections.abc import AsyncIterator, Callable, Collection, Sequence

import pytest

from schemas.kafka import Record, TopicPartition
from schemas.outcome import Accepted, NotProcessed, Outcome
from streams.engine import committer
from streams.engine.ports import RestoreReport
from streams.engine.routes import Topology
from streams.engine.runner import Bounds, Runner, RunnerSettings
from tables.state import Kind
from tests.simulation.broker import Broker
from tests.simulation.disk import Files, MemoryLog, MemoryStore
from tests.simulation.process import Notes
from tests.simulation.small import DELIVERIES, RECEIPTS, send_topology

SOURCE = TopicPartition(DELIVERIES, 0)
SETTLED = TopicPartition(RECEIPTS, 0)
SETTINGS = RunnerSettings(
    max_open_calls=2, drain_seconds=0.05, cut_grace_seconds=0.5, tick_seconds=0.005
)


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
    """Counts how often it is tidied, and tells when it is restored."""

    tidied = 0
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
        self.broker = Broker(now_ms=lambda: self.now_ms, randomness=random.Random(1))
        self.files = Files()
        self.provider = AnsweringProvider()
        self.notes = Notes()
        self.deaths: list[BaseException] = []
        self.lease = GivenLease()
        self.stores: list[TidiedStore] = []
        self.told: list[str] = []
        """What a take-over did, in order."""
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


class _Clock:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def now_ms(self) -> int:
        return self._bench.now_ms

    def believed_ms(self) -> int:
        return self._bench.now_ms


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.provider.let_go.set()
    bench.runner.kill()
    assert bench.deaths == []


async def test_earlier_owners_are_fenced_before_it_is_told_and_before_anything_is_restored(
    bench: Bench,
) -> None:
    bench.runner = bench.new_life()

    await bench.runner.partitions_assigned({0, 1})

    fences, told = bench.told[:2], bench.told[2:]
    assert fences == ["fence"] * 2
    assert told == ["fenced {0, 1}", "restore", "restore", "before open"]


@pytest.fixture
def endless_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for company waits until it comes."""
    monkeypatch.setattr(committer, "WAIT_SECONDS", 3600.0)


@pytest.mark.usefixtures("endless_waits")
async def test_an_outcome_is_told_with_the_next_intent(bench: Bench) -> None:
    bench.request(b"first")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 1)
    assert not bench.statuses()

    bench.push(b"second")
    await bench.until(lambda: bool(bench.statuses()))

    assert bench.statuses() == {b"first": [b"sent"]}


@pytest.mark.usefixtures("endless_waits")
async def test_a_drain_does_not_wait_for_company(bench: Bench) -> None:
    bench.provider.silent_about = {b"slow"}
    bench.request(b"quick")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 1)
    bench.push(b"slow")
    await bench.until(lambda: bench.provider.asked.total() == 2)

    await bench.runner.give_up()

    assert bench.statuses() == {b"quick": [b"sent"], b"slow": [b"in_doubt"]}


@pytest.mark.usefixtures("endless_waits")
async def test_what_waits_for_company_leaves_half_of_the_width_to_others(bench: Bench) -> None:
    await bench.take_over()
    for number in range(24):
        bench.push(b"%d" % number)
    await bench.until(lambda: bench.provider.asked.total() == 24)


async def test_a_schedule_is_looked_at_again_when_a_row_is_written_or_comes_due(
    bench: Bench,
) -> None:
    await bench.take_over()
    (store,) = bench.stores
    scans, tidied = store.scans, store.tidied
    await bench.until(lambda: store.tidied > tidied + 1)
    assert store.scans == scans

    bench.provider.busy_for = {b"a"}
    bench.push(b"a")
    await bench.until(lambda: not bench.provider.busy_for)
    bench.now_ms += 500
    await bench.until(lambda: bench.statuses() == {b"a": [b"sent"]})


async def test_a_drain_waits_for_calls_and_records_their_outcomes(bench: Bench) -> None:
    bench.provider.silent_about = {b"slow"}
    bench.request(b"slow", b"quick")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 2)

    giving_up = asyncio.create_task(bench.runner.give_up())
    await asyncio.sleep(0)
    bench.provider.let_go.set()
    await giving_up

    assert bench.statuses() == {b"slow": [b"sent"], b"quick": [b"sent"]}


async def test_who_gives_up_while_another_does_waits_for_the_same_drain(bench: Bench) -> None:
    bench.provider.silent_about = {b"slow"}
    bench.request(b"slow")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 1)

    both = [asyncio.create_task(bench.runner.give_up()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in both)
    bench.provider.let_go.set()
    await asyncio.gather(*both)

    assert bench.statuses() == {b"slow": [b"sent"]}


async def test_a_store_is_not_said_to_be_up_to_date_before_the_lease_is_good(bench: Bench) -> None:
    bench.lease.good = False
    await bench.take_over()
    (store,) = bench.stores
    await asyncio.sleep(10 * SETTINGS.tick_seconds)  # nothing is to happen
    assert store.tidied == 0

    bench.lease.good = True

    await bench.until(lambda: store.tidied > 0)


async def test_a_call_that_outlives_the_bound_is_recorded_unknown_and_nothing_else_is_in_doubt(
    bench: Bench,
) -> None:
    bench.provider.silent_about = {b"hangs", b"hangs-too"}
    bench.request(b"sent", b"hangs", b"hangs-too", b"waits", b"waits-too")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 3)

    await bench.runner.give_up()

    assert bench.statuses() == {
        b"sent": [b"sent"], b"hangs": [b"in_doubt"], b"hangs-too": [b"in_doubt"]
    }  # fmt: skip
    assert bench.notes.abandoned == 0

    bench.provider.silent_about = set()
    bench.now_ms += 1000  # what waited was put off, not asked
    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 5)
    await bench.runner.give_up()
    assert bench.statuses()[b"waits"] == bench.statuses()[b"waits-too"] == [b"sent"]
    assert set(bench.provider.asked.values()) == {1}


async def test_a_call_that_cannot_be_cut_off_is_in_doubt_for_the_next_owner_only(
    bench: Bench,
) -> None:
    bench.provider.silent_about = {b"deaf"}
    bench.provider.ignores_cuts = True
    bench.request(b"deaf", b"sent")
    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 1 and bench.provider.asked.total() == 2)

    await bench.runner.give_up()
    assert bench.statuses() == {b"sent": [b"sent"]}
    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 2)
    bench.provider.let_go.set()  # the answer of an earlier life comes at last
    await bench.runner.give_up()

    assert bench.statuses() == {b"sent": [b"sent"], b"deaf": [b"in_doubt"]}
    assert bench.provider.asked[b"deaf"] == 1


async def test_what_comes_in_during_a_drain_is_left_for_the_next_owner(bench: Bench) -> None:
    bench.provider.silent_about = {b"slow"}
    bench.request(b"slow")
    await bench.take_over()
    await bench.provider.is_asked.wait()

    giving_up = asyncio.create_task(bench.runner.give_up())
    await asyncio.sleep(0.01)  # the drain is under way
    bench.request(b"late")
    for record in bench.broker.read_committed(SOURCE, 1, 100)[0]:
        bench.runner.push(record)
    bench.provider.let_go.set()
    await giving_up
    assert bench.provider.asked == {b"slow": 1}

    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 2)
    await bench.runner.give_up()
    assert bench.statuses() == {b"slow": [b"sent"], b"late": [b"sent"]}
