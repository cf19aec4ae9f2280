"""`PartitionFiles`: the two local stores of a role-partition, restored before anything reads them."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from pathlib import Path

from schemas.kafka import TopicPartition
from streams.committed import CommittedRecord
from streams.engine.ports import RestoreReport
from streams.names import changelog
from streams.restore import ChangelogReader
from tables.expiry import expires_ms_of
from tables.packing import Rows, unpack_rows
from tables.state import ChangelogCut, Kind, StoreDamaged
from tables.store import LocalStore, StoreBudget, destroy

log = logging.getLogger("postrider.stores")

_SWEEP_ROWS = 500
"""A second, for all partitions in turn: five hours for ten million rows, half a percent of a core."""
_TIDY_TOUCH_MS = 60_000
_LOOKS_TO_REST = 30
"""A second each, about. To merge by two writes all of a store anew for every two files that come: so a
partition that is written to at all, however little, does not rest."""

_ROW_OF: Callable[[CommittedRecord], tuple[bytes, bytes | None]] = attrgetter("key", "value")
"""Compaction is by key, so a broker takes no durable row without one."""


@dataclass(frozen=True, slots=True)
class _Changelog:
    """What the broker holds of one kind's rows: committed records with begin <= offset < end."""

    kind: Kind
    place: TopicPartition
    begin: int
    end: int

    @property
    def is_cut(self) -> bool:
        """Time moves the beginning of a transient changelog, and only past rows that have expired;
        that of a durable one nothing moves but a hand, since compaction does not."""
        return self.kind is Kind.DURABLE and self.begin > 0

    def refuse_if_cut(self) -> None:
        if self.is_cut:
            raise ChangelogCut(
                f"{self} begins at {self.begin}, so a part of the state is gone, and no copy here "
                "has it: bring one from another slot or a backup, or delete the topic and run "
                "postrider topics create, to begin without anything that was known"
            )

    def __str__(self) -> str:
        return f"{self.place.topic}:{self.place.partition}"


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
        self._was_written = False
        """Since the last look whether it rests."""
        self._restful_looks = 0

    def get(self, kind: Kind, key: bytes) -> bytes | None:
        return self._stores[kind].get(key)

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._stores[kind].get_many(keys)

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return self._stores[kind].scan(start, end, limit)

    def apply(self, kind: Kind, rows: Rows, offset: int) -> None:
        self._stores[kind].apply(rows.items(), offset)
        self._was_written = True

    async def restore(self) -> RestoreReport:
        """Raises `ChangelogCut` when all that is left, here and there, is a part of the state."""
        began = time.monotonic()
        places = [TopicPartition(changelog(self._role, kind), self._partition) for kind in Kind]
        bounds = await self._reader.bounds(places)
        changelogs = [_Changelog(kind, places[kind], *bounds[places[kind]]) for kind in Kind]
        for each in changelogs:
            self._open(each)
        restored = await asyncio.gather(*map(self._restore, changelogs))
        for store in self._stores:
            store.settle()
        self._touch(self._now_ms())
        ends = changelogs[Kind.TRANSIENT].end, changelogs[Kind.DURABLE].end
        return RestoreReport(rows=sum(restored), seconds=time.monotonic() - began, ends=ends)

    def tidy(self, now_ms: int, horizon_ms: int) -> None:
        def is_garbage(key: bytes, value: bytes) -> bool:
            expires_ms = expires_ms_of(value)
            by_append_time = key.startswith(self._kept_by_append_time)
            return 0 < expires_ms < (horizon_ms if by_append_time else now_ms)

        start = self._sweep_from or b""
        self._sweep_from = self._stores[Kind.TRANSIENT].sweep(start, _SWEEP_ROWS, is_garbage)
        if now_ms - self._touched_ms > _TIDY_TOUCH_MS:
            self._touch(now_ms)

    def merge_at_rest(self) -> None:
        was_written, self._was_written = self._was_written, False
        self._restful_looks = 0 if was_written else self._restful_looks + 1
        for store in self._stores:
            if was_written:
                store.settle()
            elif self._restful_looks >= _LOOKS_TO_REST:
                store.rest()

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

    def _open(self, changelog: _Changelog) -> None:
        try:
            store = LocalStore(self._path(changelog.kind), self._budget, to_fill=True)
        except StoreDamaged as error:
            self._begin_anew(changelog, f"damaged: {error}")
            return
        self._stores.append(store)
        if store.offset is None:
            changelog.refuse_if_cut()
            # What is read from now on is as old as this, even if its restore never comes to an end.
            store.touch(self._now_ms())
        elif store.offset >= changelog.end:
            raise ChangelogCut(
                f"{changelog} ends at {changelog.end}, and the copy of it in {store.path} holds what "
                f"was written up to {store.offset}: the topic was made anew, or lost its end. The "
                "copy may be the last one; delete it to go on with what the topic holds"
            )
        elif store.offset < changelog.begin - 1:
            self._begin_anew(changelog, "behind the beginning of its changelog")
        elif not self._is_young(store):
            self._begin_anew(changelog, "too old to know what was deleted since")
        elif changelog.is_cut:
            fields = {"changelog": str(changelog), "path": str(store.path)}
            log.error("changelog was cut, and this copy is what is left of it", extra=fields)

    def _begin_anew(self, changelog: _Changelog, why: str) -> None:
        """Only where the changelog holds it all: a copy with a fault is better than none."""
        changelog.refuse_if_cut()
        path = self._path(changelog.kind)
        fields = {"store": path.name, "why": why}
        log.warning("rebuilding a store from its changelog", extra=fields)
        for store in self._stores[changelog.kind :]:
            store.close()
        destroy(path)
        store = LocalStore(path, self._budget, to_fill=True)
        store.touch(self._now_ms())
        self._stores[changelog.kind :] = [store]

    def _is_young(self, store: LocalStore) -> bool:
        """Of an age that can be known: a clock that went back by days tells nothing."""
        touched_ms = store.touched_ms
        return touched_ms is not None and abs(self._now_ms() - touched_ms) <= self._max_age_ms

    async def _restore(self, changelog: _Changelog) -> int:
        store, end = self._stores[changelog.kind], changelog.end
        start = changelog.begin if store.offset is None else store.offset + 1
        if start >= end:
            return 0
        count = 0

        def sink(records: Iterable[CommittedRecord], last_offset: int) -> None:
            nonlocal count
            count += store.apply(_rows_of(changelog.kind, records), last_offset)

        await self._reader.read(changelog.place, start, end, sink)
        return count


def _rows_of(
    kind: Kind, records: Iterable[CommittedRecord]
) -> Iterable[tuple[bytes, bytes | None]]:
    if kind is Kind.DURABLE:
        return map(_ROW_OF, records)
    return chain.from_iterable(unpack_rows(each.value) for each in records if each.value)
