"""Local stores of the desk's partition, on a real disk."""

import re
from collections.abc import Iterable
from pathlib import Path

from schemas.kafka import TopicPartition
from streams.committed import CommittedRecord
from streams.partition_files import PartitionFiles
from streams.restore import ChangelogReader, Sink
from tables.state import ChangelogCut
from tables.store import StoreBudget
from tests.integration.streams.desk import ROLE, Desk

MAX_AGE_MS = 1000
DECISION = b"d"


class Unplugged(Exception):
    """The end of a process in the middle of a restore."""


class _UnpluggedReader(ChangelogReader):
    async def read(
        self, place: TopicPartition, start: int, end: int, sink: Sink, *, known: int = -1
    ) -> None:
        def sink_and_end(records: Iterable[CommittedRecord], last_offset: int) -> None:
            sink(records, last_offset)
            raise Unplugged

        await super().read(place, start, end, sink_and_end, known=known)


class Shelf:
    """Stores of the desk's partition, opened as a worker would, in one folder or another."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.now_ms = 1_000_000
        """The time that the stores are told."""
        self._desk = desk
        self._folder = folder
        self._open: list[PartitionFiles] = []
        self._reader_class = ChangelogReader

    async def restored(self, disk: str = "disk") -> tuple[PartitionFiles, int]:
        """The stores, and how many rows had to be read for them."""
        files = PartitionFiles(
            role=ROLE,
            partition=0,
            folder=self._folder / disk,
            budget=StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20),
            reader=self._reader_class(
                names=self._desk.names,
                connection=self._desk.connection,
                patience=self._desk.patience,
            ),
            now_ms=lambda: self.now_ms,
            max_age_ms=MAX_AGE_MS,
            kept_by_append_time=[DECISION],
        )
        self._open.append(files)
        self._reader_class = ChangelogReader
        try:
            return files, (await files.restore()).rows
        except (Unplugged, ChangelogCut):
            files.close()
            raise

    def unplug(self) -> None:
        """The next restore ends when it has read something."""
        self._reader_class = _UnpluggedReader

    def merged_by(self, disk: str = "disk") -> set[int]:
        """How many files of each store it takes to have them merged, as RocksDB was told last."""
        found = set()
        for folder in (self._folder / disk).iterdir():
            *_, newest = sorted(folder.glob("OPTIONS-*"))
            said = re.search(r"level0_file_num_compaction_trigger=(\d+)", newest.read_text())
            assert said is not None
            found.add(int(said[1]))
        return found

    def damage(self, disk: str = "disk") -> None:
        for current in (self._folder / disk).glob("*/CURRENT"):
            current.write_text("rubbish\n")

    def close(self) -> None:
        for files in self._open:
            files.close()
