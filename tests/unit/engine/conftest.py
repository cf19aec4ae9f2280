from collections.abc import AsyncIterator

import pytest

from tests.unit.engine.bench import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.provider.let_go.set()
    bench.runner.kill()
    assert bench.deaths == []
