"""Each change to Faust and aiokafka: what upstream does without it, and that it still does what it must.

A test that fails on "upstream" after an upgrade says that the patch is needless.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiokafka
import faust
import pytest
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver

from streams import faust_app, faust_intake, faust_patches, worker
from streams.engine.runner import Runner
from streams.lease import HeartbeatLease
from tests.integration.streams.desk import OUT, ROLE, Desk
from tests.integration.streams.kafka_proxy import KafkaProxy

SESSION_SECONDS = 1.0

PATCHED: tuple[tuple[Any, str], ...] = (
    (TableManager, "on_start"),
    (GroupCoordinator, "_on_join_complete"),
    (GroupCoordinator, "_do_heartbeat"),
    (GroupCoordinator, "reset_generation"),
    (CoordinatorGroupRebalance, "_send_sync_group_request"),
)


@pytest.fixture(autouse=True)
def _upstream_afterwards() -> Iterator[None]:
    originals = [(owner, name, getattr(owner, name)) for owner, name in PATCHED]
    yield
    for owner, name, original in originals:
        setattr(owner, name, original)


@pytest.mark.parametrize(
    ("upstream", "ours", "methods"),
    [
        (driver.AIOKafkaConsumerThread, faust_intake._Thread, ("_create_worker_consumer",)),
        (
            driver.Consumer,
            faust_intake._Consumer,
            ("_new_consumer_thread", "perform_seek", "_drain_messages", "verify_event_path"),
        ),
        (driver.Producer, faust_intake._NoProducer, ("on_start", "on_stop", "flush")),
        (faust.App, faust_app.RoleApp, ("_new_transport", "_new_producer_transport")),
        (faust.Worker, worker._FaustWorker, ("_setup_logging", "_schedule_shutdown")),
    ],
)
def test_what_we_override_still_exists_upstream(
    upstream: type, ours: type, methods: tuple[str, ...]
) -> None:
    for method in methods:
        assert callable(getattr(upstream, method)), f"upstream has no {method} any more"
        assert method in vars(ours)


class _Tables:
    """What `TableManager.on_start` uses of itself."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.should_stop = False
        self.recovery = SimpleNamespace(start=self._start)

    async def sleep(self, seconds: float) -> None:
        self.done.append(seconds)

    async def _update_channels(self) -> None:
        self.done.append("channels")

    async def _start(self) -> None:
        self.done.append("recovery")


async def test_tables_start_without_a_second_of_sleep() -> None:
    upstream: Any = _Tables()
    ours: Any = _Tables()
    await TableManager.on_start(upstream)
    assert upstream.done == [1.0, "channels", "recovery"], "upstream"

    faust_patches.start_tables_at_once()
    await TableManager.on_start(ours)

    assert ours.done == ["channels", "recovery"]


class _SlowToTakeOver(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]  # untyped base
    """The first assignment takes longer than the session; the coordinator tells of a second one."""

    def __init__(self) -> None:
        self.assignments = 0
        self.first_taken_over = asyncio.Event()
        self.assigned_again = asyncio.Event()

    async def on_partitions_revoked(self, revoked: object) -> None: ...

    async def on_partitions_assigned(self, assigned: object) -> None:
        self.assignments += 1
        if self.assignments > 1:
            self.assigned_again.set()
            return
        await asyncio.sleep(2.5 * SESSION_SECONDS)  # the restore; nothing here could be awaited
        self.first_taken_over.set()


def _member(desk: Desk, **options: Any) -> aiokafka.AIOKafkaConsumer:
    return aiokafka.AIOKafkaConsumer(
        bootstrap_servers=desk.bootstrap,
        group_id=desk.names.group(ROLE),
        enable_auto_commit=False,
        session_timeout_ms=int(SESSION_SECONDS * 1000),
        heartbeat_interval_ms=200,
        retry_backoff_ms=20,
        **options,
    )


async def _take_over_slowly(desk: Desk) -> _SlowToTakeOver:
    listener, member = _SlowToTakeOver(), _member(desk)
    member.subscribe([desk.names.physical(OUT)], listener=listener)
    await member.start()
    try:
        await listener.first_taken_over.wait()
        waiting = asyncio.create_task(listener.assigned_again.wait())
        await asyncio.wait([waiting], timeout=1.5 * SESSION_SECONDS)
        waiting.cancel()
    finally:
        await member.stop()
    return listener


async def test_a_restore_longer_than_the_session_keeps_the_membership(desk: Desk) -> None:
    assert (await _take_over_slowly(desk)).assignments == 2, "upstream"

    faust_patches.beat_during_assignment()

    assert (await _take_over_slowly(desk)).assignments == 1


async def test_a_lease_follows_heartbeats_and_a_lost_membership_is_told(desk: Desk) -> None:
    lease = HeartbeatLease(session_seconds=SESSION_SECONDS, margin_seconds=0.2)
    lost = asyncio.Event()
    lease.bind(asyncio.get_running_loop())
    faust_patches.watch_membership(lease, lost.set)
    member = _member(desk)
    member.subscribe([desk.names.physical(OUT)])
    await member.start()
    try:
        await lease.wait_until_good()
        assert not lost.is_set()

        time.sleep(2.5 * SESSION_SECONDS)  # noqa: ASYNC251  # suspended: nothing runs, nothing beats
        assert not lease.is_good()
        await asyncio.wait_for(lost.wait(), 10)
        await asyncio.wait_for(lease.wait_until_good(), 10)
    finally:
        await member.stop()


def _app(tmp_path: Path, desk: Desk) -> faust_app.RoleApp:
    return faust_app.build_app(
        settings=faust_app.GroupSettings(role=ROLE, slot=0, data_dir=tmp_path),
        names=desk.names,
        connection=desk.connection,
        topics=[OUT],
        runner=cast(Runner, SimpleNamespace(push=None)),
        intake=faust_intake.FaustIntake(desk.names),
        die=lambda error: None,
    )


async def test_the_consumer_reads_committed_and_is_assigned_all_topics_alike(
    desk: Desk, tmp_path: Path
) -> None:
    app = _app(tmp_path, desk)
    transport: Any = app.transport
    consumer: Any = app.consumer
    thread = consumer._thread
    upstream = driver.AIOKafkaConsumerThread._create_worker_consumer(thread, transport)
    assert upstream._isolation_level == "read_uncommitted", "upstream"
    thread._assignor = None

    ours = thread._create_worker_consumer(transport)

    assert ours._isolation_level == "read_committed"
    # A hung coordinator is named until its cluster has noticed: 9 s, and half a second more.
    hears_ms = 9_500 + ours._client._request_timeout_ms
    assert hears_ms + ours._heartbeat_interval_ms < ours._session_timeout_ms == 20_000
    assert thread._assignor is app.assignor
    assert not ours._enable_auto_commit
    for made in (upstream, ours):  # or they complain of never having been stopped
        await made.stop()


async def test_faust_opens_no_connection_to_write_with(desk: Desk, tmp_path: Path) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        desk.connection["bootstrap_servers"] = proxy.bootstrap
        app = _app(tmp_path, desk)
        producer: Any = app.producer
        assert isinstance(producer, driver.Producer)

        await producer.start()
        await producer.flush()
        await producer.stop()

        assert proxy.requests.total() == 0
        upstream = driver.Producer(app.transport)
        await upstream.start()
        await upstream.stop()
        assert proxy.requests.total() > 0, "upstream"
