"""What a worker answers on its port."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from streams.metrics import Metrics
from streams.probes import Probes


class Bench:
    def __init__(self, folder: Path) -> None:
        self.is_ready = False
        self.announcement = folder / "decide-0" / "probes.json"
        metrics = Metrics(role="decide", slot=0)
        self.probes = Probes(
            port=0,
            registry=metrics.registry,
            is_ready=lambda: self.is_ready,
            refresh=lambda: metrics.own(metrics.open_records, topic="t").set(7),
            announcement=self.announcement,
            host="127.0.0.1",
        )

    async def get(self, path: str) -> tuple[int, str]:
        port = json.loads(self.announcement.read_text())["port"]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as answer,
        ):
            return answer.status, await answer.text()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.probes.start()
    bench.probes.announce()
    yield bench
    await bench.probes.close()


async def test_a_worker_is_alive_at_once_and_ready_only_when_it_serves(bench: Bench) -> None:
    assert await bench.get("/healthz") == (200, "alive\n")
    assert (await bench.get("/readyz"))[0] == 503

    bench.is_ready = True

    assert await bench.get("/readyz") == (200, "ready\n")


async def test_a_scrape_finds_gauges_as_they_are_now(bench: Bench) -> None:
    status, text = await bench.get("/metrics")

    assert status == 200
    assert 'postrider_open_records{role="decide",slot="0",topic="t"} 7.0' in text
