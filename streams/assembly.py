"""From `faust.yaml` to a worker: which settings go where."""

from schemas.delivery import CHANNELS
from streams.config import Config
from streams.engine.runner import RunnerSettings
from streams.faust_app import GroupSettings
from streams.metrics import Metrics
from streams.patience import Patience
from streams.plan import ChannelSettings, PlanSettings, RolePlan
from streams.topics import Layout
from streams.topology import DECIDE, FlowSettings
from streams.watched_clock import WatchedClock
from streams.worker import PlanFor, WorkerSettings
from tables import decisions


def worker_settings(config: Config, *, role: str, slot: int, patience: Patience) -> WorkerSettings:
    """What the process of one slot is told."""
    kafka, runner = config.kafka.shape, config.runner(role)
    return WorkerSettings(
        group=GroupSettings(
            role=role,
            slot=slot,
            session_seconds=kafka.session_timeout,
            heartbeat_seconds=kafka.heartbeat_interval,
            rebalance_seconds=max(kafka.rebalance_timeout, _longest_drain_seconds(runner)),
            data_dir=config.data_dir,
        ),
        names=config.kafka.names,
        connection=config.kafka.connection(),
        patience=patience,
        runner=runner,
        cache_bytes=config.memory.cache,
        write_buffer_bytes=config.memory.write_buffers,
        lease_margin_seconds=min(2.0, kafka.session_timeout / 4),
        probe_port=config.metrics_port(role, slot),
        kept_by_append_time=frozenset({decisions.PREFIX}),
    )


def plan_for(config: Config, *, role: str, patience: Patience) -> PlanFor:
    """How the role's plan is made, once there are metrics to count with and a clock to go by."""

    def make(metrics: Metrics, clock: WatchedClock) -> RolePlan:
        settings = PlanSettings(
            role=role,
            flow=_flow(config, metrics),
            names=config.kafka.names,
            connection=config.kafka.connection(),
            patience=patience,
            channel=None if role == DECIDE else _channel(config, role),
        )
        return RolePlan(settings, metrics=metrics, clock=clock)

    return make


def _flow(config: Config, metrics: Metrics) -> FlowSettings:
    def count_ignored(topic: str, count: int) -> None:
        metrics.own(metrics.ignored_fields, topic=topic).inc(count)

    return FlowSettings(
        rules=config.rules,
        partitions=config.partitions,
        address_key=config.address_key,
        lanes=config.lanes,
        tenants=config.tenants,
        sms_senders=tuple(config.sms_senders),
        on_ignored=count_ignored,
    )


def _channel(config: Config, role: str) -> ChannelSettings:
    (channel,) = (each for each in CHANNELS if each == role)
    return ChannelSettings(
        templates=config.templates,
        providers=tuple(config.providers.get(channel, ())),
        breaker=config.breaker,
        senders=config.sms_senders if channel == "sms" else None,
    )


def _longest_drain_seconds(runner: RunnerSettings) -> float:
    """A member that drains longer than a rebalance may take would be thrown out of its group."""
    return runner.drain_seconds + runner.cut_grace_seconds + 10.0


def layout_of(config: Config) -> Layout:
    """How the topics of this installation are laid out."""
    return Layout(
        partitions=config.partitions,
        replication=config.kafka.replication,
        min_insync_replicas=config.kafka.min_insync_replicas,
        ingress=tuple(config.lanes),
        dedup_window_ms=config.rules.dedup_window_seconds * 1000,
    )
