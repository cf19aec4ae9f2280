"""Commands that read refuse a cluster whose topics are missing, instead of waiting for them."""

from aiokafka import AIOKafkaConsumer

from streams.cli.clients import require_layout
from streams.config import Config
from streams.reaching import reach


async def require_topics(config: Config, *topics: str) -> None:
    """Return when they are.

    Raises:
        Unreachable: Kafka is not there, or not as configured.
        Mistake: for the first of these that is not as the configuration says.
    """
    await reach(config.kafka)
    consumer = AIOKafkaConsumer(**config.kafka.connection())
    try:
        await consumer.start()
        cluster = await consumer._client.fetch_all_metadata()
    finally:
        await consumer.stop()
    for topic in topics:
        partitions = cluster.partitions_for_topic(config.kafka.names.physical(topic))
        require_layout(topic, len(partitions or ()), config.partitions)
