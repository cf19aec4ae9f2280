"""One worker process: a role's runner inside its Faust app, ready, watched, and ended with a reason.

Exit codes: 0 stopped, 70 a bug or damage, 75 the partitions were lost, a source was made anew, a clock
was wrong, or a stop could not be ended in order (start again), 78 the configuration or the cluster is
wrong (starting again does not help until somebody mends it).
"""

import asyncio
import contextlib
import functools
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

import faust
import mode
import uvloop

from policies.blame import RUN_OUT
from policies.clock import SystemClock
from schemas.kafka import TopicPartition
from streams import faust_patches, kafka_patches
from streams.config_errors import ConfigurationRefused
from streams.engine.gaps import SourceRecreated
from streams.engine.ports import Lease
from streams.engine.routes import Topology
from streams.engine.runner import Bounds, Runner, RunnerSettings
from streams.faust_app import GroupSettings, build_app
from streams.faust_intake import FaustIntake
from streams.header_names import read_any_header_name
from streams.lease import HeartbeatLease
from streams.memory import spare_the_collector
from streams.metrics import Metrics
from streams.names import Names
from streams.observer import WorkerObserver
from streams.partition_files import PartitionFiles
from streams.patience import Patience
from streams.probes import Probes
from streams.refusals import OnceAMinute
from streams.restore import ChangelogReader
from streams.supervisor import unwritable
from streams.transactions import Fenced, KafkaLog, Overtaken
from streams.watched_clock import ClockAskew, WatchedClock
from tables.store import StoreBudget, bytes_on_disk

log = logging.getLogger("postrider.worker")

EXIT_FAILED, EXIT_LOST = 70, 75
PROBES_FILE = "probes.json"
"""In the slot's folder: where its probes listen."""


class StopTookTooLong(RuntimeError):
    """Raised when a stop could not be ended in order, as while the broker is away."""


class MembershipLost(RuntimeError):
    """Raised when the coordinator no longer knows us while we hold partitions."""


_NO_FAULT_OF_OURS = (
    Fenced, Overtaken, MembershipLost, SourceRecreated, StopTookTooLong, ClockAskew,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What one process is told; `streams/config.py` makes it from `faust.yaml`."""

    group: GroupSettings
    names: Names
    connection: Mapping[str, Any]
    patience: Patience
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    cache_bytes: int = 64 * 1024 * 1024
    write_buffer_bytes: int = 64 * 1024 * 1024
    store_max_age_ms: int = 12 * 3_600_000
    """Half of the changelogs' `delete.retention.ms`: older copies may lack tombstones."""
    lease_margin_seconds: float = 2.0
    probe_port: int = 0
    kept_by_append_time: frozenset[bytes] = frozenset()


class Plan(Protocol):
    """A role as `streams/topology.py` builds it."""

    @property
    def topology(self) -> Topology: ...

    def permit(self, lease: HeartbeatLease) -> Lease:
        """What a provider call needs beyond the lease of the group."""
        ...

    async def start(self, die: Callable[[BaseException], None]) -> None:
        """Open senders and tails, before the group is joined."""
        ...

    def fenced(self, numbers: Collection[int]) -> None:
        """Told once no earlier owner of these partitions, all that we have, begins another call."""
        ...

    async def before_open(self) -> None:
        """Return when everything that must be known before the first send is known."""
        ...

    async def close(self) -> None: ...


PlanFor = Callable[[Metrics, WatchedClock], Plan]


def run(
    settings: WorkerSettings, plan_for: PlanFor, *, check: Callable[[], Awaitable[None]]
) -> int:
    """Run until SIGTERM; returns the exit code, or leaves by `os._exit` when memory is worthless.

    `check` looks at the cluster first, and waits for a broker that is away.

    Raises:
        ConfigurationRefused: the cluster is set up otherwise, or the port of the probes is taken.
    """
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # before the app: Faust binds to whatever loop is current
    worker = _Process(settings, plan_for, loop)
    # Before the cluster is looked at: who waits for Kafka is alive, and can be asked.
    loop.run_until_complete(worker.listen())
    loop.run_until_complete(check())
    spare_the_collector()
    with contextlib.suppress(SystemExit):
        worker.execute()
    return worker.exit_code


class _Process:
    def __init__(
        self, settings: WorkerSettings, plan_for: PlanFor, loop: asyncio.AbstractEventLoop
    ) -> None:
        group = settings.group
        self._settings = settings
        self._loop = loop
        self._metrics = Metrics(role=group.role, slot=group.slot)
        self._lease = HeartbeatLease(
            session_seconds=group.session_seconds, margin_seconds=settings.lease_margin_seconds
        )
        self._lease.bind(loop)
        self._clock = WatchedClock(SystemClock())
        self._plan = plan_for(self._metrics, self._clock)
        self._voice = OnceAMinute()
        self._reader = ChangelogReader(
            names=settings.names, connection=settings.connection, patience=settings.patience
        )
        self._budget = StoreBudget(
            cache_bytes=settings.cache_bytes, write_buffer_bytes=settings.write_buffer_bytes
        )
        self._stores_folder = slot_folder(group) / "stores"
        intake = FaustIntake(settings.names)
        self._permit = self._plan.permit(self._lease)
        self._runner = Runner(
            topology=self._plan.topology,
            log_for=self._log_for,
            store_for=self._store_for,
            bounds_of=self._bounds_of,
            fenced=self._plan.fenced,
            before_open=self._plan.before_open,
            lease=self._permit,
            clock=self._clock,
            control=intake,
            observer=WorkerObserver(self._metrics),
            settings=settings.runner,
            die=die,
        )
        self._patch()
        self._app = build_app(
            settings=group,
            names=settings.names,
            connection=settings.connection,
            topics=[source.topic for source in self._plan.topology.sources],
            runner=self._runner,
            intake=intake,
            die=die,
        )
        self._probes = Probes(
            port=settings.probe_port,
            registry=self._metrics.registry,
            is_ready=self._is_ready,
            refresh=self._refresh,
            announcement=slot_folder(group) / PROBES_FILE,
        )
        self._observe()
        self.exit_code = 0

    async def listen(self) -> None:
        """Open the probes, and say where; raises `ConfigurationRefused` where that is not possible."""
        try:
            await self._probes.start()
        except OSError as error:
            _may_pass(error)
            port = self._settings.probe_port
            why = os.strerror(error.errno or 0).lower()
            told = (
                f"workers.metrics_port: {port}, that of this role and slot, cannot be had ({why})"
            )
            todo = "end what listens there, or choose another (0 for any that is free)"
            raise ConfigurationRefused([f"{told}: {todo}"]) from None
        try:
            self._probes.announce()
        except OSError as error:
            _may_pass(error)
            raise ConfigurationRefused(
                [unwritable(slot_folder(self._settings.group), error)]
            ) from None

    def execute(self) -> None:
        worker = _FaustWorker(
            self._app,
            _Beside(self._plan, self._probes),
            loop=self._loop,
            quiet=True,
            redirect_stdouts=False,
            stdout=open(os.devnull, "w"),  # noqa: SIM115  # its spinner; open as long as it runs
            watchdog_seconds=self._settings.runner.drain_seconds
            + self._settings.runner.cut_grace_seconds
            + 5.0,
        )
        try:
            worker.execute_from_commandline()
        except SystemExit as ended:
            self.exit_code = ended.code if isinstance(ended.code, int) else EXIT_FAILED
            raise

    def _patch(self) -> None:
        read_any_header_name()
        faust_patches.start_tables_at_once()
        faust_patches.beat_during_assignment()
        faust_patches.watch_membership(self._lease, self._membership_lost)
        kafka_patches.take_a_reset_for_a_broken_connection()
        kafka_patches.wait_between_connects()
        kafka_patches.ask_several_for_a_coordinator()
        kafka_patches.tell_of_a_dead_fetcher()
        kafka_patches.tell_of_dead_metadata(die)
        kafka_patches.compress_quickly()
        kafka_patches.wait_for_rebalances(self._settings.group.rebalance_seconds + 5.0)

    def _membership_lost(self) -> None:
        """From the consumer's thread. Without partitions there is nothing to lose; who is only taking
        them over has fenced their owner, or is about to."""
        is_taking_over = self._runner.is_taking_over and not self._app.should_stop
        if self._runner.partitions or is_taking_over:
            die(MembershipLost("the group coordinator no longer knows this worker"))

    def _is_ready(self) -> bool:
        return bool(self._runner.partitions)

    def _observe(self) -> None:
        runner, metrics = self._runner, self._metrics
        metrics.is_ready.set_function(lambda: float(self._is_ready()))
        metrics.observe("partitions", "Partitions held.", lambda: len(runner.partitions))
        metrics.observe(
            "may_call",
            "1 while the lease and the tails allow provider calls.",
            lambda: float(self._permit.is_good()),
        )
        metrics.observe(
            "store_bytes",
            "Local copies of the changelogs, on disk.",
            lambda: bytes_on_disk(self._stores_folder),
        )
        metrics.observe("open_calls", "Provider calls in flight.", lambda: runner.gate.open_calls)

    def _refresh(self) -> None:
        self._metrics.refresh()
        metrics, now_ms = self._metrics, self._clock.now_ms()
        backlog = self._runner.backlog()
        for source in self._plan.topology.sources:
            count, oldest_ms = backlog.get(source.topic, (0, now_ms))
            metrics.own(metrics.open_records, topic=source.topic).set(count)
            age_seconds = max(0, now_ms - oldest_ms) / 1000
            metrics.own(metrics.oldest_seconds, topic=source.topic).set(age_seconds)

    def _log_for(self, partition: int) -> KafkaLog:
        return KafkaLog(
            role=self._settings.group.role,
            partition=partition,
            names=self._settings.names,
            connection=self._settings.connection,
            lease=self._lease,
            clock=self._clock,
            patience=self._settings.patience,
            changelogs=self._reader,
            voice=self._voice,
            on_committed=self._metrics.commit_seconds.observe,
        )

    def _store_for(self, partition: int) -> PartitionFiles:
        return PartitionFiles(
            role=self._settings.group.role,
            partition=partition,
            folder=self._stores_folder,
            budget=self._budget,
            reader=self._reader,
            now_ms=self._clock.now_ms,
            max_age_ms=self._settings.store_max_age_ms,
            kept_by_append_time=self._settings.kept_by_append_time,
        )

    async def _bounds_of(self, places: Collection[TopicPartition]) -> Bounds:
        return await self._reader.bounds(places)


class _Beside(mode.Service):
    """What runs beside the app: senders and tails; it ends with the probes, which began before."""

    def __init__(self, plan: Plan, probes: Probes) -> None:
        super().__init__()
        self._plan = plan
        self._probes = probes

    async def on_start(self) -> None:
        await self._plan.start(die)

    async def on_stop(self) -> None:
        await self._plan.close()
        await self._probes.close()


class _FaustWorker(faust.Worker):
    """Faust's worker with a watchdog: without one a SIGTERM while the broker is away never ends."""

    def __init__(self, *args: Any, watchdog_seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watchdog_seconds = watchdog_seconds

    def _setup_logging(self) -> None:
        """Ours is set up already; Faust's would replace it."""

    def _schedule_shutdown(self, signal: Any) -> None:
        seconds = round(self._watchdog_seconds)
        bite = functools.partial(die, StopTookTooLong(f"what is open did not end in {seconds} s"))
        watchdog = threading.Timer(self._watchdog_seconds, bite)
        watchdog.daemon = True
        watchdog.start()
        super()._schedule_shutdown(signal)


def _may_pass(error: OSError) -> None:
    """Files, memory or room that are lacking may be there when it starts again: no refusal for good."""
    if error.errno in RUN_OUT:
        die(error)


def die(error: BaseException) -> NoReturn:
    """End this process now: its memory may be ahead of Kafka, or its partitions somebody else's."""
    code = EXIT_LOST if isinstance(error, _NO_FAULT_OF_OURS) else EXIT_FAILED
    try:
        cause = f"{type(error).__name__}: {error}"
        log.critical("worker ends", extra={"cause": cause, "code": code})
        if code == EXIT_FAILED:
            log.error("the cause", exc_info=error)
        logging.shutdown()
    finally:  # there may be no memory left even to say it
        os._exit(code)


def slot_folder(group: GroupSettings) -> Path:
    """Where one slot keeps its stores and its lock."""
    return group.data_dir / f"{group.role}-{group.slot}"
