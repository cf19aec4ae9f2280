"""The peers of the benchmark that need nothing but Python, on a real Kafka: a fast one that is wrong
would say nothing."""

import asyncio
from pathlib import Path

from benchmarks.peers.aiokafka_peer import AiokafkaSite
from benchmarks.peers.evidence import Evidence
from benchmarks.peers.ledger import Accepted
from sandbox.process import SandboxProcess
from streams.embedded_kafka import EmbeddedKafka

PEOPLE = 20


async def test_the_aiokafka_loop_sends_to_everybody_once_also_when_it_is_asked_again_after_a_kill(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with SandboxProcess(tmp_path / "sandbox") as sandbox:
        site = AiokafkaSite(tmp_path, sandbox, kafka, PEOPLE)
        site.fill(PEOPLE)
        async with site.connected():
            evidence = Evidence(site, PEOPLE)
            site.start()
            try:
                await evidence.ask()
                await _until_told(site, PEOPLE)
                site.kill()
                site.start()
                await site.request(0)
                await _until_told(site, 2 * PEOPLE)
            finally:
                site.kill()

        assert (await evidence.judge()).is_clean
        assert Accepted(sandbox.ledger_dir).look() == PEOPLE


async def _until_told(site: AiokafkaSite, count: int) -> None:
    async with asyncio.timeout(60):
        while await site.told() < count:  # noqa: ASYNC110  the broker tells nobody
            await asyncio.sleep(0.05)
