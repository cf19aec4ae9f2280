"""Kafka clients for commands, made from the configuration, that refuse what is not laid out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import typer
from aiokafka import AIOKafkaProducer

from streams.batches import COMPRESSION
from streams.cli.errors import Mistake
from streams.config import Config
from streams.patience import Patience
from streams.reaching import reach

_MAX_REQUEST_BYTES = 1_000_000


@asynccontextmanager
async def producing(config: Config, *topics: str) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer for these topics (logical names).

    Raises:
        Unreachable: Kafka is not there, or not as configured.
        Mistake: a topic is not there, or has another number of partitions than configured: a
            record could not be put where its reader expects it.
    """
    await reach(config.kafka)
    producer = AIOKafkaProducer(
        **config.kafka.connection(),
        enable_idempotence=True,
        compression_type=COMPRESSION,
        max_request_size=_MAX_REQUEST_BYTES,
    )
    try:
        await producer.start()
        cluster = await producer.client.fetch_all_metadata()
        for topic in topics:
            partitions = cluster.partitions_for_topic(config.kafka.names.physical(topic))
            require_layout(topic, len(partitions or ()), config.partitions)
        yield producer
    finally:
        await producer.stop()


def patience_of(config: Config) -> Patience:
    """For a command that runs until it is stopped."""

    def tell(seconds: float, why: str | None) -> None:
        typer.echo("Kafka answers again" if why is None else f"waiting for Kafka: {why}", err=True)

    return Patience(partial(reach, config.kafka), tell)


def require_layout(topic: str, found: int, expected: int) -> None:
    """Raise `Mistake` where a topic is missing or has another number of partitions."""
    if found == 0:
        raise Mistake(
            f"topic {topic} is not there: run `postrider topics create`, unless ACLs hide it"
        )
    if found != expected:
        told = f"topic {topic} has {found} partitions, the configuration says {expected}"
        raise Mistake(f"{told}: see `postrider topics check`")
