"""CPU time of an applied import, without Kafka: `python -m benchmarks.keep_recipients [PEOPLE]`.

The role's own flow and engine, with real stores on the disk; record batches are built and
compressed as for a broker, and dropped. What is left out is Faust, aiokafka's client and the
sockets. Prints microseconds a recipient of each run, twice: new people, and the same ones again.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, cast

import uvloop

from benchmarks.whole.people import import_records
from policies.clock import SystemClock
from policies.rules import Rules
from policies.stops import StopList
from schemas import topics
from schemas.kafka import InboundRecord, Record, TopicPartition
from streams import topology
from streams.batches import batches_of
from streams.engine.ports import Committed, Transaction
from streams.engine.runner import Runner, RunnerSettings
from streams.memory import parts_of, spare_the_collector
from streams.names import Names
from streams.partition_files import PartitionFiles
from streams.refusals import OnceAMinute
from streams.restore import Sink
from streams.topology import FlowSettings
from streams.transactions import KafkaLog
from streams.watched_clock import WatchedClock
from tables.store import StoreBudget
from tests.simulation.process import Notes

PARTITIONS = 8
MEMORY = parts_of(256 * 1024 * 1024)


class DeafLog(KafkaLog):
    """Commits at once, to nobody; what the role itself reads comes back to it."""

    push: Callable[[InboundRecord], None]
    end = 0

    async def start(self) -> None: ...

    async def commit(self, transaction: Transaction) -> Committed:
        for contents in self._by_place(transaction).values():
            for batch in batches_of(contents):
                batch.build(producer_id=1, epoch=1, sequence=0)
            await asyncio.sleep(0)
        for record in transaction.records:
            DeafLog.end += 1
            place = record.topic, record.partition, DeafLog.end, 0, None, record.value
            asyncio.get_running_loop().call_soon(DeafLog.push, InboundRecord(*place))
        DeafLog.end += 1
        return Committed((DeafLog.end, DeafLog.end))


class Nothing:
    """What was there before: empty changelogs, no tails, a lease that is always good."""

    async def bounds(
        self, places: Collection[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, int]]:
        return dict.fromkeys(places, (0, 0))

    async def read(self, place: TopicPartition, start: int, end: int, sink: Sink) -> None: ...

    def fenced(self, numbers: Collection[int]) -> None: ...

    async def before_open(self) -> None: ...

    def is_good(self) -> bool:
        return True

    async def wait_until_good(self) -> None: ...

    def pause(self, source: TopicPartition) -> None: ...

    def resume(self, source: TopicPartition) -> None: ...

    def heard_ms(self, source: TopicPartition) -> int:
        return 0


async def _measure(people: int, folder: Path) -> None:
    lanes = {name: lane for lane, name in topics.REQUESTED.items()}
    settings = FlowSettings(Rules({}), PARTITIONS, b"k" * 32, lanes)
    nothing, clock = Nothing(), WatchedClock(SystemClock())
    budget = StoreBudget(cache_bytes=MEMORY.cache, write_buffer_bytes=MEMORY.write_buffers)

    def store(partition: int) -> PartitionFiles:
        return PartitionFiles(
            role=topology.DECIDE, partition=partition, folder=folder, budget=budget,
            reader=cast(Any, nothing), now_ms=clock.now_ms, max_age_ms=86_400_000,
            kept_by_append_time=(),
        )  # fmt: skip

    def log(partition: int) -> DeafLog:
        return DeafLog(
            role=topology.DECIDE, partition=partition, names=Names(), connection={},
            lease=cast(Any, nothing), patience=cast(Any, nothing), changelogs=cast(Any, nothing),
            voice=OnceAMinute(), clock=clock,
        )  # fmt: skip

    runner = Runner(
        topology=topology.decide(settings, StopList(settings.rules)),
        log_for=log,
        store_for=store,
        bounds_of=nothing.bounds,
        fenced=nothing.fenced,
        before_open=nothing.before_open,
        lease=nothing,
        clock=clock,
        control=nothing,
        observer=Notes(),
        settings=RunnerSettings(intake_bytes=MEMORY.intake, room_bytes=MEMORY.room),
        die=lambda error: sys.exit(f"died: {error!r}"),
    )
    DeafLog.push = runner.push
    await runner.partitions_assigned(range(PARTITIONS))
    records = list(import_records(people, partitions=PARTITIONS))
    for name in ("new", "known"):
        spent = await _apply(runner, records)
        print(f"{name:6} {spent / people * 1e6:5.1f} us a recipient, {people / spent:,.0f}/s")


async def _apply(runner: Runner, records: Sequence[Record]) -> float:
    begun = time.process_time()
    for record in records:
        DeafLog.end += 1
        place = record.topic, record.partition, DeafLog.end, 0, None, record.value
        runner.push(InboundRecord(*place))
    while any(  # noqa: ASYNC110  # there is nothing to await
        waiting for each in runner.partitions for _, waiting, _ in each.backlog()
    ):
        await asyncio.sleep(0.01)
    return time.process_time() - begun


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        spare_the_collector()
        count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
        uvloop.run(_measure(count, Path(made)))
