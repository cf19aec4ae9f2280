"""Three brokers that copy each other: what is laid out on them, and one of them killed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.cli import main
from streams.embedded_kafka import EmbeddedKafka
from tests.acceptance.small_lab import lab
from tests.acceptance.test_worker_faults import WORKERS, check, load
from tests.brokers import running, three_brokers


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[EmbeddedKafka]]:
    opened = three_brokers(tmp_path_factory.mktemp("brokers"))
    with running(*opened):
        yield opened


def servers(brokers: list[EmbeddedKafka]) -> str:
    return ",".join(broker.bootstrap for broker in brokers)


async def until_leaders_have_moved(servers: str, *, dead: int) -> None:
    """Until nothing is led by the dead broker; `servers` are those that are left."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    leaders = {dead}
    try:
        while dead in leaders:
            with contextlib.suppress(KafkaError):  # it may be asked for what it does not answer
                leaders = {
                    partition["leader"]
                    for topic in await admin.describe_topics()
                    for partition in topic["partitions"]
                }
    finally:
        await admin.close()


def test_topics_are_made_with_the_copies_that_are_configured_and_fewer_are_refused(
    brokers: list[EmbeddedKafka], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = yaml.safe_load(Path("faust.yaml").read_text())
    tree |= {"templates": str(Path("templates").resolve()), "data": str(tmp_path), "partitions": 2}

    def postrider(*arguments: str, **kafka: object) -> tuple[object, str]:
        tree["kafka"] = {"bootstrap": servers(brokers), **kafka}
        (tmp_path / "faust.yaml").write_text(yaml.safe_dump(tree))
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--config", str(tmp_path / "faust.yaml")])
        return ended.value.code, "".join(capsys.readouterr())

    few = {"topic_prefix": "few.", "replication": 1}
    assert postrider("topics", "create", topic_prefix="all.")[0] == 0
    assert postrider("topics", "create", **few)[0] == 0

    assert postrider("topics", "check", topic_prefix="all.", min_insync_replicas=2) == (
        0, "every topic is as it should be\n",
    )  # fmt: skip
    code, told = postrider("topics", "check", topic_prefix="few.")
    assert code == 1
    assert (
        "refused few.receipts: replication is 1, expected 3: add replicas with "
        "kafka-reassign-partitions.sh, or lower kafka.replication of faust.yaml" in told
    )
    assert "unsafe few.receipts: min.insync.replicas is 1, expected 2" in told


@pytest.mark.timeout(240)
async def test_one_of_three_brokers_is_killed_and_nothing_is_lost(
    brokers: list[EmbeddedKafka], tmp_path: Path
) -> None:
    async with lab(servers(brokers), tmp_path, replication=3) as opened:
        for name in WORKERS:
            opened.start(name)
        async with load(opened, per_second=100) as asked:
            await opened.until_more_is_sent()
            brokers[0].kill()
            await until_leaders_have_moved(servers(brokers[1:]), dead=1)
            await opened.until_more_is_sent()

        finals = await opened.settled(len(asked), within_seconds=110)
        check(opened, finals, len(asked))
