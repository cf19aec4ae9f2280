"""What an operator may do to a group's offsets while its workers are down."""

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.structs import TopicPartition as KafkaPartition


class _Assignor(RoundRobinPartitionAssignor):  # type: ignore[misc]  # aiokafka tells no types
    name = "faust"  # as the workers' is called: a group takes nobody who does not know it


async def reset_offsets(
    *,
    bootstrap: str,
    group: str,
    instance: str,
    topics: Collection[str],
    partitions: int,
    to: int,
) -> None:
    """Of all these topics. `instance` is that of a worker that is down: in its name we are a
    member at once, and need not wait until its session is over."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id=instance,
        enable_auto_commit=False,
        partition_assignment_strategy=[_Assignor],
    )
    await consumer.start()
    try:
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=100)
        places = [KafkaPartition(topic, each) for topic in topics for each in range(partitions)]
        await consumer.commit(dict.fromkeys(places, to))
    finally:
        await consumer.stop()
