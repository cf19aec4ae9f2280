"""The plan: how many of what, and why. Pure arithmetic on measured coefficients."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.delivery import CHANNELS, Channel
from streams.capacity.coefficients import Coefficients

PARTITIONS_A_WORKER = 4
LEAST_PARTITIONS = 48
_GROWTH = 2
"""Partitions are fixed for life, so they are for twice as many workers as are needed now."""
_GRAIN = 12
"""Partitions come in dozens: they spread evenly over 2, 3, 4 and 6 workers or brokers."""
_REQUEST_BYTES = 300
"""Of a request on its topic, compressed with others."""
_DISK_SLACK = 2
"""Stores and changelogs while they are being compacted."""
_RETENTION_DAYS = 7
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What an installation shall do; rates are notifications a second at the peak."""

    users: int
    single_rate: float
    broadcast_rate: float = 0.0
    channel_rates: Mapping[Channel, float] = field(default_factory=dict)
    """Deliveries a second; a channel that is not named has none, and e-mail all if none is named."""
    busy_share: float = 0.6
    """Of a core that a worker may use at the peak: the rest is for bursts and for catching up."""
    average_share: float = 0.25
    """Of the peak, over a week: what retention holds."""
    replication: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    workers: Mapping[str, int]
    """By role, a core each. One more of each is what a loss of a machine asks for."""
    partitions: int
    broker_cores: int
    written_mb_s: float
    """Into Kafka by workers and producers, one copy."""
    replicated_mb_s: float
    """Between brokers, in addition."""
    broker_disk_gb: float
    """Of all brokers together."""
    worker_disk_gb: float
    """Of each worker of decide."""
    worker_memory_mb: float
    assumptions: tuple[str, ...]


def plan(need: Need, known: Coefficients) -> Plan:
    channel_rates = need.channel_rates or {"email": need.single_rate + need.broadcast_rate}
    cores = {"decide": _decide_cores(need, known)}
    for channel in CHANNELS:
        if rate := channel_rates.get(channel, 0.0):
            cores[channel] = rate * _send_us(channel, need, known) / 1e6
    workers = {role: max(1, math.ceil(each / need.busy_share)) for role, each in cores.items()}
    written = _written(need, known)
    broker_us = need.single_rate * known.single.broker_us
    broker_us += need.broadcast_rate * known.broadcast.broker_us
    kept = written * need.average_share * _RETENTION_DAYS * _DAY_SECONDS
    state = need.users * known.user_changelog_bytes * _DISK_SLACK
    local = need.users * known.user_disk_bytes * _DISK_SLACK / workers["decide"]
    return Plan(
        workers=workers,
        partitions=_partitions(max(workers.values())),
        broker_cores=max(1, math.ceil(broker_us / 1e6 * need.replication / need.busy_share)),
        written_mb_s=written / 1e6,
        replicated_mb_s=written * (need.replication - 1) / 1e6,
        broker_disk_gb=(kept + state) * need.replication / 1e9,
        worker_disk_gb=local / 1e9,
        worker_memory_mb=known.worker_mb,
        assumptions=_assumptions(need, known),
    )


def _decide_cores(need: Need, known: Coefficients) -> float:
    single = need.single_rate * known.single.decide_us
    return (single + need.broadcast_rate * known.broadcast.decide_us) / 1e6


def _send_us(channel: Channel, need: Need, known: Coefficients) -> float:
    """A mail of a broadcast is cheaper than one of its own, so e-mail costs what the mix costs."""
    match channel:
        case "push" | "sms":
            return known.push_us
        case "in_app":
            return known.single.decide_us
        case "email":
            total = need.single_rate + need.broadcast_rate
            share = need.single_rate / total if total else 1.0
            return share * known.single.send_us + (1 - share) * known.broadcast.send_us


def _written(need: Need, known: Coefficients) -> float:
    """Bytes a second at the peak, one copy."""
    single = need.single_rate * (known.single.kafka_bytes + _REQUEST_BYTES)
    return single + need.broadcast_rate * known.broadcast.kafka_bytes


def _partitions(workers: int) -> int:
    wanted = workers * PARTITIONS_A_WORKER * _GROWTH
    return max(LEAST_PARTITIONS, math.ceil(wanted / _GRAIN) * _GRAIN)


def _assumptions(need: Need, known: Coefficients) -> tuple[str, ...]:
    return (
        f"coefficients: {known.measured}; your processors and your provider's latency differ",
        f"a worker is one core, and at most {need.busy_share:.0%} busy at the peak",
        "each request is for one user, and reaches one delivery unless --channel-rate says more",
        "push is a request each, as measured; sms is taken to cost the same, in_app as a decision",
        f"a request is {_REQUEST_BYTES} bytes on its topic",
        f"topics keep {_RETENTION_DAYS} days, of {need.average_share:.0%} of the peak on average",
        f"stores and changelogs need {_DISK_SLACK} times their size",
        f"{need.replication} copies in Kafka; a copy costs its broker as much as the first",
        f"{PARTITIONS_A_WORKER} partitions a worker, fixed for life, so for {_GROWTH} times the workers",
        "rates are divided by cores: nothing bigger than the machine above has been measured",
    )
