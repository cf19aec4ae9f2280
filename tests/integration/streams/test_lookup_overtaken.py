"""A lookup under which receipts are deleted, or made anew, says so and goes on with what there is; it
throws nothing away that is not damaged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import RecordsToDelete

from schemas.topics import RECEIPTS
from streams.lookup.run import Lookup, Progress, store_path
from tables.state import StoreFailed
from tables.store import LocalStore, StoreBudget
from tests.integration.streams.desk import Desk
from tests.integration.streams.kafka_proxy import FETCH, HeldRequest, KafkaProxy
from tests.unit.streams.test_lookup import FACTS, told


async def append(desk: Desk, count: int) -> None:
    """In one transaction, so they take one offset more."""
    async with desk.producer("anybody") as producer, producer.transaction():
        for fact in FACTS[:count]:
            value = told("ann", fact)
            await producer.send_and_wait(desk.names.physical(RECEIPTS), value, partition=0)


class Looking:
    """A lookup that runs behind a proxy, and what it says."""

    def __init__(self, desk: Desk, folder: Path, proxy: KafkaProxy) -> None:
        self.said: list[str] = []
        self._proxy = proxy
        self._progress: asyncio.Queue[Progress] = asyncio.Queue()
        self._lookup = Lookup(
            data_dir=folder,
            partitions=[0],
            names=desk.names,
            connection={"bootstrap_servers": proxy.bootstrap},
            budget=StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20),
            now_ms=lambda: 0,
            on_progress=self._progress.put_nowait,
            say=self.said.append,
            patience=desk.patience,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self._lookup.run())
        yield
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    async def until_folded(self, count: int) -> None:
        async with asyncio.timeout(60):
            while (await self._progress.get()) != Progress(count, 0):
                pass

    async def next_fetch(self) -> HeldRequest:
        """Which the broker has not seen yet."""
        self._proxy.hold(FETCH)
        return await self._proxy.held()


@pytest.fixture
async def looking(desk: Desk, tmp_path: Path) -> AsyncIterator[Looking]:
    await desk.create(RECEIPTS)
    async with KafkaProxy(desk.bootstrap) as proxy:
        looking = Looking(desk, tmp_path, proxy)
        await append(desk, 1)
        async with looking.running():
            await looking.until_folded(1)
            yield looking


async def test_receipts_that_were_deleted_before_they_were_read_are_told(
    desk: Desk, looking: Looking
) -> None:
    fetching = await looking.next_fetch()
    await append(desk, 2)
    await desk.admin.delete_records({desk.place(RECEIPTS): RecordsToDelete(3)})
    await fetching.answer()

    await looking.until_folded(2)
    assert looking.said == ["receipts 0: some were deleted before they were read"]


async def test_receipts_that_were_made_anew_are_read_from_their_beginning(
    desk: Desk, looking: Looking
) -> None:
    await append(desk, 3)
    await looking.until_folded(4)
    fetching = await looking.next_fetch()
    await desk.admin.delete_topics([desk.names.physical(RECEIPTS)])
    await desk.create(RECEIPTS)
    await append(desk, 1)
    await fetching.answer()

    await looking.until_folded(5)
    assert looking.said == ["receipts 0 were re-created: read from their beginning"]


async def test_a_store_that_cannot_be_opened_just_now_is_not_thrown_away(
    desk: Desk, tmp_path: Path
) -> None:
    budget = StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20)
    await desk.create(RECEIPTS)
    held = LocalStore(store_path(tmp_path, 0), budget)
    held.apply([(b"known", b"of old")], 0)
    lookup = Lookup(
        data_dir=tmp_path, partitions=[0], names=desk.names,
        connection=desk.connection, budget=budget, now_ms=lambda: 0,
        on_progress=lambda progress: None, say=lambda line: None, patience=desk.patience,
    )  # fmt: skip

    with pytest.raises(StoreFailed, match="lock"):
        await lookup.run(once=True)

    assert held.get(b"known") == b"of old"
    held.close()
    reopened = LocalStore(store_path(tmp_path, 0), budget)
    assert reopened.get(b"known") == b"of old"
    reopened.close()
