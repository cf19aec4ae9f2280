"""A role as a Faust app: group membership, co-partitioned assignment, and records into the runner.

Faust acknowledges and commits nothing and has no tables of its own: positions and state are the
runner's (`docs/decisions/0001-stores-outside-faust.md`). What is left of it is what it does well.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiokafka
import faust
import mode
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.runner import Runner
from streams.kafka_patches import FetchingEnded
from streams.names import Names

log = logging.getLogger("postrider.group")

_LAG_SECONDS = 1.0
_PARKED_SECONDS = 0.005
_FETCH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Membership of one worker of a role."""

    role: str
    slot: int
    session_seconds: float = 20.0
    heartbeat_seconds: float = 2.0
    rebalance_seconds: float = 60.0
    data_dir: Path = Path(".postrider")


class RoleApp(faust.App):
    """The app of one role; `runner` is told of assignments, records and the end."""

    runner: Runner
    names: Names
    connection: Mapping[str, Any]
    die: Callable[[BaseException], None]
    seeks: dict[TP, int]
    handed: dict[TP, int]
    """The last offset that the fetcher has handed to Faust, by source."""
    pushed: dict[TP, int]
    """The last offset that Faust has handed to the runner: what lies between is in its buffers."""

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Faust does not wait here once it is stopping, and the group would go on without a drain
        that a stop has begun: another worker would own what we still write."""
        if self.should_stop:
            await self.runner.give_up()
        else:
            await super()._on_partitions_revoked(revoked)

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Any:
        return _Transport(self.conf.broker_producer, self)


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        """Faust's own, but reading committed records and with our way to connect."""
        app: Any = self.app
        conf = app.conf
        self._assignor = app.assignor  # the co-partitioned one, in spite of no tables
        session_ms = int(conf.broker_session_timeout * 1000)
        patience_ms = app.connection.get("request_timeout_ms", session_ms)
        # A heartbeat that is not answered must be sent again on another connection in time.
        timeout = {"request_timeout_ms": min(patience_ms, session_ms // 2)}
        return aiokafka.AIOKafkaConsumer(
            **{**app.connection, **timeout},
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=200,
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """R2: to our positions, wherever the group's offsets are."""
        app: Any = self.app
        seeks = app.seeks
        for place, offset in seeks.items():
            self._committed_offset[place] = offset or None
        if seeks:
            await self.seek_wait(seeks)

    async def fetched(self, places: Collection[TP]) -> dict[TP, int]:
        """Up to where each place has been fetched; those that are not known yet are left out."""
        found: dict[TP, int] = await self._thread.call_thread(self._fetched, places)
        return found

    async def _fetched(self, places: Collection[TP]) -> dict[TP, int]:
        consumer: Any = self._thread._ensure_consumer()
        assignment = consumer._subscription.subscription.assignment
        states = {place: assignment.state_value(place) for place in places}
        return {
            place: state.position
            for place, state in states.items()
            if state is not None and state.has_valid_position
        }

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Faust remembers each offset that is no record until it is committed, and nothing is here:
        with a marker after each transaction that took more time and memory from one to the next."""

    async def _wait_next_records(self, timeout: float) -> Any:
        """What was fetched, whatever is paused by now.

        Faust would drop the rest of a fetch as soon as its partition is paused, though the fetcher
        has passed it: those records would never come again. And it sleeps for a whole second
        when every partition is paused.
        """
        if self.flow_active and not self._get_active_partitions():
            self.not_waiting_next_records.set()
            await asyncio.sleep(_PARKED_SECONDS)
            return {}, None
        app: Any = self.app
        try:
            records, _ = await super()._wait_next_records(timeout)
        except FetchingEnded as error:
            app.die(error)
            raise
        for place, some in (records or {}).items():
            if some:
                app.handed[place] = some[-1].offset
        return records, None


class _NoProducer(driver.Producer):
    """Faust writes nothing here, so it opens no connection to write with."""

    async def on_start(self) -> None: ...

    async def on_stop(self) -> None: ...

    async def flush(self) -> None: ...


class _Transport(driver.Transport):
    Consumer = _Consumer
    Producer = _NoProducer


class FaustIntake:
    """The engine's `IntakeControl` over a Faust consumer."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.app: RoleApp | None = None

    def pause(self, source: TopicPartition) -> None:
        self._consumer.pause_partitions([self._physical(source)])

    def resume(self, source: TopicPartition) -> None:
        self._consumer.resume_partitions([self._physical(source)])

    @property
    def _consumer(self) -> Any:
        assert self.app is not None, "records came before the app was built"
        return self.app.consumer

    def _physical(self, source: TopicPartition) -> TP:
        return TP(self._names.physical(source.topic), source.partition)


def build_app(
    *,
    settings: GroupSettings,
    names: Names,
    connection: Mapping[str, Any],
    topics: Collection[str],
    runner: Runner,
    die: Callable[[BaseException], None],
) -> RoleApp:
    """The app of a role. The loop it will run on must be the current one already."""
    app = RoleApp(
        names.group(settings.role),
        broker=f"kafka://{_first_server(connection)}",
        datadir=settings.data_dir,
        # A static member: a restart within the session moves no partition.
        consumer_group_instance_id=f"{settings.role}-{settings.slot}",
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=settings.heartbeat_seconds,
        broker_rebalance_timeout=settings.rebalance_seconds,
        # aiokafka counts a paused fetcher as idle and would leave the group.
        broker_max_poll_interval=1e6,
        broker_max_poll_records=500,
        stream_buffer_maxsize=8192,
        # A drain of ours ends what is under way; Faust's would wait for streams that never end.
        stream_wait_empty=False,
        stream_processing_timeout=1e6,
        broker_commit_livelock_soft_timeout=1e6,
        agent_supervisor=mode.CrashingSupervisor,
        # Topics are created by `postrider topics create`, never silently with wrong settings.
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.runner, app.names, app.connection, app.die = runner, names, connection, die
    app.seeks, app.handed, app.pushed = {}, {}, {}
    _feed(app, topics)
    _follow_assignments(app)
    return app


def _feed(app: RoleApp, topics: Collection[str]) -> None:
    names, push, pushed = app.names, app.runner.push, app.pushed
    topic = app.topic(*(names.physical(each) for each in topics), value_type=bytes, key_type=bytes)

    async def intake(stream: Any) -> None:
        # Nothing is acknowledged: positions are rows of the same transactions as the work.
        stream.enable_acks = False
        async for event in stream.events():
            message = event.message
            push(_record(names, message))
            pushed[message.tp] = message.offset

    app.agent(topic, name="intake")(intake)


def _record(names: Names, message: Any) -> InboundRecord:
    headers = message.headers or ()
    return InboundRecord(
        names.logical(message.topic),
        message.partition,
        message.offset,
        round((message.timestamp or 0) * 1000),
        message.key,
        message.value,
        tuple((name, value or b"") for name, value in headers),
    )


def _follow_assignments(app: RoleApp) -> None:
    runner = app.runner
    original = app.tables.on_rebalance

    async def take_over(assigned: set[TP], *args: Any, **options: Any) -> None:
        if app.should_stop:  # a rebalance while we drain: what it gives us, nobody would drain
            return
        try:
            app.handed.clear()
            app.pushed.clear()
            numbers = _numbers(assigned)
            seeks = await runner.partitions_assigned(numbers)
            if app.should_stop:  # stopped while we restored: nobody else would drain it
                await runner.give_up()
                return
        except BaseException as error:
            if not app.should_stop:  # which cancels us: nothing of ours is open yet
                app.die(error)
            raise
        app.seeks = {_physical(app, place): offset for place, offset in seeks.items()}
        log.info("partitions taken over", extra={"partitions": sorted(numbers)})
        await original(assigned, *args, **options)

    async def give_up(*_: Any, **__: Any) -> None:
        app.seeks = {}
        await runner.give_up()

    async def publish_lag() -> None:
        """The group's offsets, for lag tools only: nobody reads them back."""
        while not app.should_stop:
            await asyncio.sleep(_LAG_SECONDS)
            with contextlib.suppress(Exception):  # a rebalance in between: the next one tells
                await _publish(app)

    tables: Any = app.tables
    tables.on_rebalance = take_over
    app.on_partitions_revoked.connect(give_up)
    app.on_before_shutdown.connect(give_up)
    app.task(publish_lag)


async def _publish(app: RoleApp) -> None:
    consumer: Any = app.consumer
    idle = [_physical(app, place) for place in app.runner.idle_sources()]
    offsets = done_offsets(app, await consumer.fetched(idle))
    if offsets:
        await consumer._commit(offsets)


def done_offsets(app: RoleApp, fetched: Mapping[TP, int]) -> dict[TP, int]:
    """Up to where every source is done. What was fetched is, where nothing of it is under way or
    in Faust's buffers; it has passed the markers that end transactions, which no record of ours
    ever does."""
    offsets = {_physical(app, place): at for place, at in app.runner.positions().items()}
    for place in app.runner.idle_sources():
        source = _physical(app, place)
        if source in fetched and app.handed.get(source, -1) <= app.pushed.get(source, -1):
            offsets[source] = max(fetched[source], offsets.get(source, 0))
    return offsets


def _physical(app: RoleApp, place: TopicPartition) -> TP:
    return TP(app.names.physical(place.topic), place.partition)


def _numbers(assigned: set[TP]) -> set[int]:
    """The partitions of the role; every source must come with the same ones."""
    by_topic: dict[str, set[int]] = {}
    for place in assigned:
        by_topic.setdefault(place.topic, set()).add(place.partition)
    if len({frozenset(each) for each in by_topic.values()}) > 1:
        raise RuntimeError("the sources of the role are not co-partitioned: run `topics check`")
    return set.union(*by_topic.values()) if by_topic else set()


def _first_server(connection: Mapping[str, Any]) -> str:
    servers = connection["bootstrap_servers"]
    return str(servers if isinstance(servers, str) else servers[0]).split(",")[0]
