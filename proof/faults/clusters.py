"""One of three brokers that copy each other: killed, hung; or all restarted, one after the other.

What it led is led by another then, and so is whatever it coordinated: groups and transactions.
"""

import asyncio
import itertools
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from proof.cluster import KafkaCluster
from proof.faults.base import Field
from proof.faults.brokers import BrokerFault
from proof.load.plan import LoadPlan
from streams.embedded_kafka import EmbeddedKafka

AS_RUN: Mapping[str, Any] = {
    "kafka": {"replication": 3, "session_timeout": "20s", "heartbeat_interval": "2s"}
}
"""The product's own: a session is longer than it takes until another broker coordinates the group, so
no worker loses what it has."""


class _ClusterFault(BrokerFault):
    has_cluster = True
    settings = AS_RUN
    exits: ClassVar[Collection[int]] = ()

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=60.0)


class OneOfThreeKilled(_ClusterFault):
    name = "one-of-three-killed"
    does = "kill -9 of one of three brokers, which is started again after 0.5 to 12 seconds"
    expects = "as one-of-three-hung"

    async def strike(self, field: Field) -> None:
        while await field.wait(3.0, 7.0):
            broker = field.random.choice(_cluster(field).brokers)
            await field.stage.note_blow("broker", "crash")
            broker.kill()
            await field.wait(0.5, 12.0)
            await _start(broker)


class OneOfThreeHung(_ClusterFault):
    name = "one-of-three-hung"
    does = "SIGSTOP of one of three brokers for 1 to 20 seconds, then SIGCONT"
    expects = "nothing lost that was acknowledged, nothing in doubt, and no worker ends"

    async def strike(self, field: Field) -> None:
        while await field.wait(3.0, 6.0):
            broker = field.random.choice(_cluster(field).brokers)
            await field.stage.note_blow("broker", "one hangs")
            broker.pause()
            seconds = field.random.choice((1.0, 4.0, 8.0, 20.0))
            await field.wait(seconds, seconds)
            broker.resume()


class ThreeRestarted(_ClusterFault):
    name = "three-restarted"
    does = (
        "a clean stop and a start of each of three brokers in turn, as for another version of Kafka"
    )
    expects = "as one-of-three-hung"
    least_blows = 3

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=100.0)

    async def strike(self, field: Field) -> None:
        for broker in itertools.cycle(_cluster(field).brokers):
            if not await field.wait(2.0, 5.0):
                return
            await field.stage.note_blow("broker", "restart")
            await asyncio.to_thread(broker.stop)
            await _start(broker)


async def _start(broker: EmbeddedKafka) -> None:
    """By this thread, whose death is the broker's; the others are served while it starts."""
    broker.launch()
    await asyncio.to_thread(broker.wait_until_answering)


def _cluster(field: Field) -> KafkaCluster:
    kafka = field.stage.kafka
    assert isinstance(kafka, KafkaCluster), "these faults strike one of several brokers"
    return kafka
