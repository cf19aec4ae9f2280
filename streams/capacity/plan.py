"""The plan: how many of what, and why. Pure arithmetic on measured coefficients."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.settlement import LEDGER_RETENTION_MS
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
DECISION_BYTES, COUNT_BYTES, LEDGER_BYTES = 64, 96, 64
"""At most, of the rows that remember a request, count a user's messages by a channel, and tell what was
tried of a delivery."""
_MEMBER_BYTES = 2
"""Of the last where up to a thousand members of a broadcast share a row."""
_DEDUP_DAYS = 1
_LEDGER_DAYS = LEDGER_RETENTION_MS / 86_400_000
_RETENTION_DAYS = 7
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What an installation shall do; rates are notifications a second at the peak."""

    users: int
    single_rate: float
    broadcast_rate: float = 0.0
    channel_rates: Mapping[Channel, float] = field(default_factory=dict)
    """Deliveries a second beside those by e-mail, which are all that is asked for unless it is named."""
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
    """Of each worker of decide: people, what they were sent, and the requests of the dedup window."""
    ledger_disk_gb: float
    """Of all workers that send, together: what was tried."""
    worker_memory_mb: float
    assumptions: tuple[str, ...]


def plan(need: Need, known: Coefficients) -> Plan:
    channel_rates = _channel_rates(need)
    cores = {"decide": _decide_cores(need, known)}
    for channel in CHANNELS:
        if rate := channel_rates.get(channel, 0.0):
            cores[channel] = rate * _send_us(channel, need, known) / 1e6
    workers = {role: max(1, math.ceil(each / need.busy_share)) for role, each in cores.items()}
    written = _written(need, known)
    kept = written * need.average_share * _RETENTION_DAYS * _DAY_SECONDS
    state = need.users * known.user_changelog_bytes * _DISK_SLACK
    return Plan(
        workers=workers,
        partitions=_partitions(max(workers.values())),
        broker_cores=max(
            1, math.ceil(_broker_cores(need, known) * need.replication / need.busy_share)
        ),
        written_mb_s=written / 1e6,
        replicated_mb_s=written * (need.replication - 1) / 1e6,
        broker_disk_gb=(kept + state) * need.replication / 1e9,
        worker_disk_gb=_decide_disk(need, known, len(channel_rates)) / workers["decide"] / 1e9,
        ledger_disk_gb=_ledger_disk(need) / 1e9,
        worker_memory_mb=known.worker_mb,
        assumptions=_assumptions(need, known),
    )


def _channel_rates(need: Need) -> Mapping[Channel, float]:
    by_email: dict[Channel, float] = {"email": need.single_rate + need.broadcast_rate}
    rates = by_email | dict(need.channel_rates)
    return {channel: rate for channel, rate in rates.items() if rate}


def _other_rates(need: Need) -> Mapping[Channel, float]:
    """Of what is sent beside e-mail."""
    return {name: rate for name, rate in _channel_rates(need).items() if name != "email"}


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


def _broker_cores(need: Need, known: Coefficients) -> float:
    """For one copy."""
    total = need.single_rate * known.single.broker_us
    total += need.broadcast_rate * known.broadcast.broker_us
    total += sum(_other_rates(need).values()) * known.push_broker_us
    return total / 1e6


def _written(need: Need, known: Coefficients) -> float:
    """Bytes a second at the peak, one copy."""
    single = need.single_rate * (known.single.kafka_bytes + _REQUEST_BYTES)
    others = sum(_other_rates(need).values()) * known.single.kafka_bytes
    return single + others + need.broadcast_rate * known.broadcast.kafka_bytes


def _decide_disk(need: Need, known: Coefficients, channels: int) -> float:
    """Of all workers of decide together: members of a broadcast are counted, not remembered."""
    people = need.users * (known.user_disk_bytes + channels * COUNT_BYTES)
    a_day = need.single_rate * need.average_share * _DAY_SECONDS
    return (people + a_day * _DEDUP_DAYS * DECISION_BYTES) * _DISK_SLACK


def _ledger_disk(need: Need) -> float:
    rate_bytes = (need.single_rate + sum(_other_rates(need).values())) * LEDGER_BYTES
    rate_bytes += need.broadcast_rate * _MEMBER_BYTES
    return rate_bytes * need.average_share * _LEDGER_DAYS * _DAY_SECONDS * _DISK_SLACK


def _partitions(workers: int) -> int:
    wanted = workers * PARTITIONS_A_WORKER * _GROWTH
    return max(LEAST_PARTITIONS, math.ceil(wanted / _GRAIN) * _GRAIN)


def _assumptions(need: Need, known: Coefficients) -> tuple[str, ...]:
    single_us = known.single.decide_us + known.single.send_us
    return (
        f"coefficients: {known.measured}; your processors and your provider's latency differ",
        f"a request of its own takes {single_us:,.0f} us of CPU, as in a full backlog",
        f"at 200/s it was {known.trickle_us:,.0f} us, as few share a transaction",
        f"a worker is one core, and at most {need.busy_share:.0%} busy at the peak",
        "each request is for one user and goes out by e-mail, unless --channel-rate email= says less",
        "--channel-rate of another channel comes on top",
        "push is a request each, as measured; sms is taken to cost the same, in_app as a decision",
        "either costs brokers what push does, and writes as much as an e-mail of its own",
        f"a request is {_REQUEST_BYTES} bytes on its topic",
        f"topics keep {_RETENTION_DAYS} days, of {need.average_share:.0%} of the peak on average",
        f"decide keeps {COUNT_BYTES} bytes for a user and channel beside what an import says of them",
        f"it keeps {DECISION_BYTES} bytes for a request of its own, a dedup window of {_DEDUP_DAYS} day",
        f"senders keep {LEDGER_BYTES} bytes a delivery, {_MEMBER_BYTES} in batches",
        f"they keep it {_LEDGER_DAYS:.0f} days, of {need.average_share:.0%} of the peak on average",
        f"stores and changelogs need {_DISK_SLACK} times their size",
        "memory is the most that a worker held with 8 partitions and workers.memory: 256MiB",
        f"{need.replication} copies in Kafka; a copy costs its broker as much as the first",
        f"{PARTITIONS_A_WORKER} partitions a worker, fixed for life, so for {_GROWTH} times the workers",
        "rates are divided by cores: nothing bigger than the machine above has been measured",
    )
