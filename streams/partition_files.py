"""`PartitionFiles`: the two local stores of a role-partition, restored before anything reads them."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from aiokafka.structs import ConsumerRecord

from schemas.kafka import TopicPartition
from streams.engine.ports import RestoreReport
from streams.names import changelog
from streams.restore import ChangelogReader
from tables.expiry import expires_ms_of
from tables.packing import RowList, unpack_rows
from tables.state import Kind, StoreDamaged
from tables.store import LocalStore, StoreBudget, destroy

log = logging.getLogger("postrider.stores")

_SWEEP_ROWS = 2000
_TIDY_TOUCH_MS = 60_000


class PartitionFiles:
    """A `PartitionStore`. `restore` opens the directories; nothing may be read before.

    A local copy that is older than `max_age_ms` is destroyed: tombstones of what was deleted
    meanwhile may be gone from the compacted changelog, and the rows would come back to life.
    """

    def __init__(
        self,
        *,
        role: str,
        partition: int,
        folder: Path,
        budget: StoreBudget,
        reader: ChangelogReader,
        now_ms: Callable[[], int],
        max_age_ms: int,
        kept_by_append_time: Collection[bytes],
    ) -> None:
        self._role = role
        self._partition = partition
        self._folder = folder
        self._budget = budget
        self._reader = reader
        self._now_ms = now_ms
        self._max_age_ms = max_age_ms
        self._kept_by_append_time = tuple(kept_by_append_time)
        self._stores: list[LocalStore] = []
        self._sweep_from: bytes | None = b""
        self._touched_ms = 0

    def get(self, kind: Kind, key: bytes) -> bytes | None:
        return self._stores[kind].get(key)

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._stores[kind].get_many(keys)

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return self._stores[kind].scan(start, end, limit)

    def apply(self, kind: Kind, rows: RowList, offset: int) -> None:
        self._stores[kind].apply(rows, offset)

    async def restore(self) -> RestoreReport:
        began = time.monotonic()
        self._stores = [self._open(kind) for kind in Kind]
        places = [TopicPartition(changelog(self._role, kind), self._partition) for kind in Kind]
        bounds = await self._reader.bounds(places)
        restored = await asyncio.gather(
            *(self._restore(kind, places[kind], *bounds[places[kind]]) for kind in Kind)
        )
        self._touch(self._now_ms())
        return RestoreReport(rows=sum(restored), seconds=time.monotonic() - began)

    def tidy(self, now_ms: int, horizon_ms: int) -> None:
        def is_garbage(key: bytes, value: bytes) -> bool:
            expires_ms = expires_ms_of(value)
            by_append_time = key.startswith(self._kept_by_append_time)
            return 0 < expires_ms < (horizon_ms if by_append_time else now_ms)

        start = self._sweep_from or b""
        self._sweep_from = self._stores[Kind.TRANSIENT].sweep(start, _SWEEP_ROWS, is_garbage)
        if now_ms - self._touched_ms > _TIDY_TOUCH_MS:
            self._touch(now_ms)

    def close(self) -> None:
        for store in self._stores:
            store.close()
        self._stores = []

    def _touch(self, now_ms: int) -> None:
        self._touched_ms = now_ms
        for store in self._stores:
            store.touch(now_ms)

    def _path(self, kind: Kind) -> Path:
        return self._folder / f"{self._role}-{kind.name.lower()}-{self._partition}"

    def _open(self, kind: Kind) -> LocalStore:
        try:
            store = LocalStore(self._path(kind), self._budget)
        except StoreDamaged as error:
            log.warning("store damaged, rebuilding it from its changelog", extra=_said(str(error)))
            return self._anew(kind)
        if store.offset is None:
            # What is read from now on is as old as this, even if its restore never comes to an end.
            store.touch(self._now_ms())
        elif not self._is_young(store):
            log.warning("store too old, rebuilding it from its changelog", extra=_said(store.path))
            store.close()
            return self._anew(kind)
        return store

    def _anew(self, kind: Kind) -> LocalStore:
        destroy(self._path(kind))
        store = LocalStore(self._path(kind), self._budget)
        store.touch(self._now_ms())
        return store

    def _is_young(self, store: LocalStore) -> bool:
        """Of an age that can be known: a clock that went back by days tells nothing."""
        touched_ms = store.touched_ms
        return touched_ms is not None and abs(self._now_ms() - touched_ms) <= self._max_age_ms

    async def _restore(self, kind: Kind, place: TopicPartition, begin: int, end: int) -> int:
        store = self._stores[kind]
        if store.offset is not None and not begin - 1 <= store.offset < end:
            log.warning("changelog cut or re-created, rebuilding", extra=_said(place.topic))
            store.close()
            store = self._stores[kind] = self._anew(kind)
        start = begin if store.offset is None else store.offset + 1
        if start >= end:
            return 0
        count = 0

        def sink(records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
            nonlocal count
            rows = _rows_of(kind, records)
            store.apply(rows, records[-1].offset)
            count += len(rows)

        await self._reader.read(place, start, end, sink)
        if store.offset is None or store.offset < end - 1:
            store.apply([], end - 1)  # what is left were markers, or rows that compaction removed
        return count


def _rows_of(kind: Kind, records: Sequence[ConsumerRecord[bytes, bytes]]) -> RowList:
    if kind is Kind.DURABLE:
        return [(record.key, record.value) for record in records if record.key is not None]
    return [row for record in records if record.value for row in unpack_rows(record.value)]


def _said(what: object) -> dict[str, str]:
    return {"what": str(what)}
