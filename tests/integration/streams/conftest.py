"""A desk for each test of the stream layer."""

from collections.abc import AsyncIterator

import pytest

from streams.embedded_kafka import EmbeddedKafka
from tests.integration.streams.desk import Desk


@pytest.fixture
async def desk(kafka: EmbeddedKafka) -> AsyncIterator[Desk]:
    opened = Desk(kafka.bootstrap)
    await opened.open()
    yield opened
    await opened.close()
