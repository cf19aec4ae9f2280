"""A role as a Faust app: group membership and co-partitioned assignment.

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

import faust
from aiokafka.structs import TopicPartition as KafkaPartition
from faust.types import TP

from streams.engine.runner import Runner
from streams.faust_intake import FaustIntake, Transport
from streams.names import Names

log = logging.getLogger("postrider.group")

_LAG_SECONDS = 1.0


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
    intake: FaustIntake
    connection: Mapping[str, Any]
    die: Callable[[BaseException], None]

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Faust does not wait here once it is stopping, and the group would go on without a drain
        that a stop has begun: another worker would own what we still write."""
        if self.should_stop:
            await self.runner.give_up()
        else:
            await super()._on_partitions_revoked(revoked)

    def _crash(self, reason: BaseException) -> None:
        """Told of whatever crashes below the app, too. Faust would stop in order, which may wait for
        ever for what has crashed, and beat meanwhile as the owner of partitions."""
        if not self.should_stop:
            self.die(reason)
        super()._crash(reason)

    def _new_transport(self) -> Any:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Any:
        return Transport(self.conf.broker_producer, self)


def build_app(
    *,
    settings: GroupSettings,
    names: Names,
    connection: Mapping[str, Any],
    topics: Collection[str],
    runner: Runner,
    intake: FaustIntake,
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
        broker_max_poll_interval=1e9,
        broker_max_poll_records=500,
        # A drain of ours ends what is under way; Faust's would wait for streams that never end.
        stream_wait_empty=False,
        stream_processing_timeout=1e9,
        broker_commit_livelock_soft_timeout=1e9,
        # Topics are created by `postrider topics create`, never silently with wrong settings.
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.runner, app.intake, app.connection, app.die = runner, intake, connection, die
    sources = [names.physical(topic) for topic in topics]
    app.topics.add(app.topic(*sources))
    _follow_assignments(app, sources)
    return app


def _follow_assignments(app: RoleApp, sources: Collection[str]) -> None:
    runner = app.runner
    original = app.tables.on_rebalance

    async def take_over(assigned: set[TP], *args: Any, **options: Any) -> None:
        if app.should_stop:  # a rebalance while we drain: what it gives us, nobody would drain
            return
        try:
            numbers = _numbers(assigned, sources)
            positions = await runner.partitions_assigned(numbers)
            if app.should_stop:  # stopped while we restored: nobody else would drain it
                await runner.give_up()
                return
        except BaseException as error:
            if not app.should_stop:  # which cancels us: nothing of ours is open yet
                app.die(error)
            raise
        app.intake.begin(positions)
        log.info("partitions taken over", extra={"partitions": sorted(numbers)})
        await original(assigned, *args, **options)

    async def give_up(*_: Any, **__: Any) -> None:
        app.intake.end()
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
    idle = map(app.intake.physical, app.runner.idle_sources())
    offsets = done_offsets(app, await consumer.fetched(list(idle)))
    if offsets:
        await consumer.commit_for_lag(offsets)


def done_offsets(app: RoleApp, fetched: Mapping[KafkaPartition, int]) -> dict[KafkaPartition, int]:
    """Up to where every source is done. What was fetched is, where nothing of it is under way; it
    has passed the markers that end transactions, which no record of ours ever does."""
    physical = app.intake.physical
    offsets = {physical(place): at for place, at in app.runner.positions().items()}
    for source in map(physical, app.runner.idle_sources()):
        if source in fetched:
            offsets[source] = max(fetched[source], offsets.get(source, 0))
    return offsets


def _numbers(assigned: set[TP], sources: Collection[str]) -> set[int]:
    """The partitions of the role; every source must come with the same ones. One that is missing
    altogether was unknown to the member that assigned it: without its positions we do not begin."""
    by_topic: dict[str, set[int]] = {source: set() for source in sources}
    for place in assigned:
        by_topic[place.topic].add(place.partition)
    if len({frozenset(each) for each in by_topic.values()}) > 1:
        raise RuntimeError("the sources of the role are not co-partitioned: run `topics check`")
    return set.union(*by_topic.values())


def _first_server(connection: Mapping[str, Any]) -> str:
    servers = connection["bootstrap_servers"]
    return str(servers if isinstance(servers, str) else servers[0]).split(",")[0]
