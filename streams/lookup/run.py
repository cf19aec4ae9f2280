"""`Lookup`: reads the receipts and keeps the rows, for as long as it runs."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.topics import RECEIPTS
from streams.lookup.folding import Folding, Read
from streams.names import Names
from streams.patience import Patience
from tables.expiry import expires_ms_of
from tables.state import StoreDamaged
from tables.store import LocalStore, StoreBudget, destroy

_READ_MS = 500
_FETCH_BYTES = 2 * 1024 * 1024
_LOOK_SECONDS = 1.0
_SWEEP_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come since it started."""

    folded: int
    behind: int


def store_path(data_dir: Path, partition: int) -> Path:
    return data_dir / "lookup" / str(partition)


class Lookup:
    """Some partitions of one installation; one process has them at a time.

    It belongs to no consumer group: where it was is stored with the rows, in one atomic write,
    so it goes on there after whatever happened to it.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        partitions: Collection[int],
        names: Names,
        connection: Mapping[str, Any],
        budget: StoreBudget,
        now_ms: Callable[[], int],
        on_progress: Callable[[Progress], None],
        say: Callable[[str], None],
        patience: Patience,
    ) -> None:
        self._data_dir = data_dir
        self._places = {
            KafkaPartition(names.physical(RECEIPTS), number): number for number in partitions
        }
        self._connection = connection
        self._budget = budget
        self._now_ms = now_ms
        self._on_progress = on_progress
        self._say = say
        self._patience = patience
        self._stores: dict[int, LocalStore] = {}
        self._sweeps: dict[int, bytes] = {}
        self._folded = 0

    async def run(self, *, once: bool = False) -> None:
        """Until it is cancelled; or `once`, until there is nothing left to read."""
        self._consumer = self._new_consumer("read_committed")
        self._asker = self._new_consumer("read_uncommitted")
        try:
            await self._patience.wait_for(self._consumer.start)
            await self._patience.wait_for(self._asker.start)
            await self._open()
            looked_at = -_LOOK_SECONDS
            while True:
                await self._fold_some()
                if time.monotonic() - looked_at >= _LOOK_SECONDS:
                    looked_at = time.monotonic()
                    self._tidy()
                    progress = Progress(self._folded, await self._behind())
                    self._on_progress(progress)
                    if once and not progress.behind:
                        return
        finally:
            await self._consumer.stop()
            await self._asker.stop()
            self._close_stores()

    def _close_stores(self) -> None:
        for store in self._stores.values():
            store.close()
        self._stores.clear()

    async def _open(self) -> None:
        places = list(self._places)
        begins = await self._patience.wait_for(partial(self._asker.beginning_offsets, places))
        ends = await self._patience.wait_for(partial(self._asker.end_offsets, places))
        self._consumer.assign(list(self._places))
        for place, number in self._places.items():
            store = self._opened(number)
            offset = -1 if store.offset is None else store.offset
            if offset >= ends[place]:
                self._say(f"receipts {number} were re-created: read from their beginning")
                store.destroy()
                store, offset = self._opened(number), -1
            if 0 <= offset < begins[place] - 1:
                self._say(f"receipts {number}: some were deleted before they were read")
            self._stores[number] = store
            self._consumer.seek(place, max(begins[place], offset + 1))

    def _opened(self, number: int) -> LocalStore:
        path = store_path(self._data_dir, number)
        try:
            return LocalStore(path, self._budget)
        except StoreDamaged as error:
            self._say(f"store {number} is damaged ({error}): read from the beginning")
            destroy(path)
            return LocalStore(path, self._budget)

    async def _fold_some(self) -> None:
        try:
            chunks = await self._consumer.getmany(timeout_ms=_READ_MS)
        except OffsetOutOfRangeError:  # deleted before they were read, or made anew: as at a start
            self._close_stores()
            await self._open()
            return
        for place, records in chunks.items():
            store = self._stores[self._places[place]]
            Folding(store).take(map(_read, records), records[-1].offset)
            self._folded += len(records)
            await asyncio.sleep(0)

    async def _behind(self) -> int:
        ask = partial(self._asker.end_offsets, list(self._places))
        ends = await self._patience.wait_for(ask)
        return sum(
            [max(0, ends[place] - await self._consumer.position(place)) for place in self._places]
        )

    def _tidy(self) -> None:
        """Forget what is older than the receipts themselves, a little at a time."""
        now_ms = self._now_ms()

        def is_garbage(_: bytes, value: bytes) -> bool:
            return expires_ms_of(value) < now_ms

        for number, store in self._stores.items():
            start = self._sweeps.get(number, b"")
            self._sweeps[number] = store.sweep(start, _SWEEP_ROWS, is_garbage) or b""

    def _new_consumer(self, isolation: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._connection,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level=isolation,
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=100,
            check_crcs=False,
        )


def _read(record: ConsumerRecord[bytes, bytes]) -> Read:
    return Read(record.value or b"", record.timestamp)
