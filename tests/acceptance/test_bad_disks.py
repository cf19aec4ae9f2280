"""A disk that is full, a copy that is damaged or stale, a changelog that was cut: a worker stops
with the cause or rebuilds what it knew, and never goes on with a part of it.

One pipeline with a `decide` worker for all. After each blow it is asked again whatever it was
asked before: what it had forgotten it would decide once more.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from schemas import topics
from schemas.ids import partition_of
from streams.assembly import layout_of
from streams.embedded_kafka import EmbeddedKafka
from streams.names import changelog
from streams.topology import DECIDE
from streams.worker import EXIT_FAILED
from tables.state import Kind
from tables.store import LocalStore, StoreBudget, destroy
from tests.acceptance.pipeline_lab import PARTITIONS, Pipeline, pipeline

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

SECONDS = 60
DISK_BYTES = 64 * 1024 * 1024
USER = "ann"
PARTITION = partition_of(USER, PARTITIONS)
LATER = "2030-01-01T00:00:00Z"


class Desk:
    """A worker that decides, and everything that it was ever asked."""

    def __init__(self, opened: Pipeline, disk: Path) -> None:
        self._opened = opened
        self.disk = disk
        self._asked: list[dict[str, Any]] = []
        self._told = 0
        self._log_from = 0

    async def start(self) -> None:
        self._log_from = self._log.stat().st_size if self._log.exists() else 0
        self._opened.start(DECIDE)
        await self._opened.until_ready()

    def stop(self) -> None:
        assert self._opened.stop(DECIDE) == 0

    async def ends(self) -> tuple[int, str]:
        """The exit code of a worker that ends by itself, and the cause that it gave."""
        code = await asyncio.to_thread(self._opened.workers[DECIDE].wait, SECONDS)
        (last,) = self.said("worker ends")
        return code, last["cause"]

    async def ends_at_its_start(self) -> tuple[int, str]:
        self._log_from = self._log.stat().st_size
        self._opened.start(DECIDE)
        return await self.ends()

    def said(self, message: str) -> list[dict[str, Any]]:
        """What the worker said since it was started last."""
        lines = map(json.loads, self._log.read_bytes()[self._log_from :].splitlines())
        return [line for line in lines if line["message"] == message]

    async def ask(self, *, data_bytes: int = 0) -> None:
        """To be told later: it waits in a row, with its data."""
        said = {
            "user_id": USER, "type": "order_confirmed", "channels": ["in_app"], "send_at": LATER,
            "data": {"text": "x" * data_bytes}, "idempotency_key": f"key-{len(self._asked)}",
        }  # fmt: skip
        self._asked.append(said)
        await self._opened.put(topics.REQUESTED["normal"], said)

    async def knows_all(self) -> None:
        """Everything was decided once, and all of it is known to have been asked before."""
        await self._until("deferred", len(self._asked))
        repeats = self._count("duplicate")
        for said in self._asked:
            await self._opened.put(topics.REQUESTED["normal"], said)
        await self._until("duplicate", repeats + len(self._asked))
        assert self._count("deferred") == len(self._asked), "something was decided twice"

    def store(self, kind: Kind) -> Path:
        return self.disk / "stores" / f"{DECIDE}-{kind.name.lower()}-{PARTITION}"

    async def cut(self, kind: Kind) -> int:
        """Delete all but the last record of the changelog; returns where it begins now."""
        name = self._opened.config.kafka.names.physical(changelog(DECIDE, kind))
        place = TopicPartition(name, PARTITION)
        (end,) = (await self._opened.consumer.end_offsets([place])).values()
        begin = int(end) - 2  # behind the last record is the marker of its transaction
        layout = layout_of(self._opened.config)
        (topic,) = (each for each in layout.topics() if each.name == changelog(DECIDE, kind))
        settings = layout.settings_of(topic)
        admin = AIOKafkaAdminClient(**self._opened.config.kafka.connection())
        await admin.start()
        # Kafka deletes nothing from a topic that is only compacted.
        for policy in ("delete", settings["cleanup.policy"]):
            changed = settings | {"cleanup.policy": policy}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, changed)])
            if policy == "delete":
                await admin.delete_records({place: RecordsToDelete(before_offset=begin)})
        await admin.close()
        return begin

    @property
    def _log(self) -> Path:
        return self._opened.folder / f"{DECIDE}.log"

    def _count(self, status: str) -> int:
        return sum(each.status == status for each in self._opened.receipts)

    async def _until(self, status: str, count: int) -> None:
        await self._opened.until(lambda: self._count(status) >= count, within_seconds=SECONDS)
        assert self._count(status) == count, status


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a pipeline; its worker's own folder is a small file system, which can be filled."""
    folder = tmp_path_factory.mktemp("pipeline")
    disk = folder / f"{DECIDE}-0"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(kafka: EmbeddedKafka, folder: Path) -> AsyncIterator[Desk]:
    async with pipeline(kafka.bootstrap, folder, roles=()) as opened:
        desk = Desk(opened, folder / f"{DECIDE}-0")
        await desk.start()
        yield desk


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65_536)
        except OSError:
            return ballast


def damage(store: Path) -> None:
    (store / "CURRENT").write_text("rubbish\n")


def grow_old(store: Path) -> None:
    opened = LocalStore(store, StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20))
    opened.touch(round((time.time() - 13 * 3600) * 1000))
    opened.close()


async def test_a_full_disk_ends_the_worker_with_the_cause_and_with_room_again_it_goes_on(
    desk: Desk,
) -> None:
    await desk.ask()
    await desk.knows_all()

    ballast = fill(desk.disk)
    for _ in range(30):
        await desk.ask(data_bytes=60_000)
    first = await desk.ends()
    again = await desk.ends_at_its_start()
    ballast.unlink()
    await desk.start()

    for code, cause in (first, again):
        assert code == EXIT_FAILED
        assert cause.startswith("StoreFailed: ")
        assert "No space left on device" in cause
    await desk.knows_all()


async def test_copies_that_are_worth_nothing_are_rebuilt_and_all_is_known_again(
    desk: Desk,
) -> None:
    await desk.ask()
    await desk.knows_all()
    desk.stop()

    grow_old(desk.store(Kind.TRANSIENT))
    damage(desk.store(Kind.DURABLE))
    await desk.start()

    rebuilt = desk.said("rebuilding a store from its changelog")
    assert [(each["store"], each["why"][:9]) for each in rebuilt] == [
        (desk.store(Kind.TRANSIENT).name, "too old t"),
        (desk.store(Kind.DURABLE).name, "damaged: "),
    ]
    await desk.knows_all()


async def test_a_durable_changelog_that_was_cut_is_gone_on_with_by_a_whole_copy_only(
    desk: Desk,
) -> None:
    await desk.ask()
    await desk.knows_all()
    desk.stop()
    begin = await desk.cut(Kind.DURABLE)

    await desk.start()
    (told,) = desk.said("changelog was cut, and this copy is what is left of it")
    await desk.knows_all()
    desk.stop()
    kept = desk.disk / "kept"
    desk.store(Kind.DURABLE).rename(kept)
    code, cause = await desk.ends_at_its_start()
    destroy(desk.store(Kind.DURABLE))
    kept.rename(desk.store(Kind.DURABLE))
    await desk.start()

    assert told["level"] == "error"
    assert code == EXIT_FAILED
    assert f"decide-durable-changelog:{PARTITION} begins at {begin}" in cause
    await desk.knows_all()
