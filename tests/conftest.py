"""Shared by all rings: one real Kafka for the whole session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.embedded_kafka import EmbeddedKafka
from tests.brokers import running


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker for everybody; each test works under a topic prefix of its own."""
    folder: Path = tmp_path_factory.mktemp("kafka")
    properties = {
        "group.min.session.timeout.ms": "1000",
        # How soon it looks for transactions that have timed out, and for what to compact.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        "log.cleaner.backoff.ms": "500",
    }
    broker = EmbeddedKafka(folder, heap_mb=512, properties=properties)
    with running(broker):
        yield broker
