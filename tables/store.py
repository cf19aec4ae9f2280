"""`LocalStore`: one kind of one partition's rows in RocksDB, a prefix of its changelog.

Rows and the changelog offset they came with are one atomic write, and an offset that is not
newer than the stored one is refused, whoever calls: a late write of an earlier life can never
undo what came after it. The directory is a cache: whatever is wrong with it, it is destroyed
and rebuilt from the changelog, and the caller says so loudly.
"""

import contextlib
import re
import shutil
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, cast

from rocksdict import (
    AccessType,
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
)

from tables.state import StaleRows, StoreDamaged, StoreFailed

_OFFSET_KEY = b"\x00offset"
_TOUCHED_KEY = b"\x00touched"
_INTEGER = struct.Struct(">q")
_FIRST_ROW = b"\x01"
"""Keys of tables begin here: what lies before is the store's own."""

_DAMAGED = "DAMAGED"
"""A file in the directory: it is to be rebuilt."""
_SAYS_DAMAGE = re.compile(r"Corruption(?!.*Too many open files)|.*No such file or directory", re.S)
"""What RocksDB says of damage. A full disk is none, nor a directory in use or too many open files."""

_BLOOM_BITS = 10
_BLOCK_BYTES = 16 * 1024
"""What is read and unpacked at a time. Most rows are read with their neighbours: profiles of an audience
cost a third less than in RocksDB's own 4 KB, and take up a quarter less; one alone costs the same."""
_MAX_OPEN_FILES = 256
_SMALLEST_BUFFER_BYTES = 4 * 1024 * 1024
_BLOOM_SHARE = 0.02
"""Of a write buffer: ten bits a key of a hundred bytes. Most keys that are asked for are not there
(a repeat, another holder): to look for them among those written of late took a tenth of an import."""

_FILES_AT_REST, _FILES, _FILES_WHILE_FILLING = 2, 8, 16
"""So many full write buffers, each a file of its own, are merged into what is there already. RocksDB
merges by four, with which an import took a twentieth longer, and left what it had to do to whoever
came next; at twenty it slows writers down."""

_CROWD = 64
"""So many keys in order may be neighbours, as those of an audience's members are: to go from row to
row takes a fifth of finding each."""
_MOST_SKIPPED = 100
"""From one row to the next, of what was deleted or written again since: a sweep may have left a hundred
thousand such in a row, which are gone through in 20 ms."""
_SKIPPED_TOO_MANY = "Result incomplete"
"""How RocksDB says so."""


class StoreBudget:
    """Memory that all stores of a process share: one block cache, one bound for write buffers."""

    def __init__(self, *, cache_bytes: int, write_buffer_bytes: int) -> None:
        self._cache = Cache(cache_bytes)
        self._buffer_bytes = write_buffer_bytes
        self._buffers = WriteBufferManager.new_write_buffer_manager_with_cache(
            write_buffer_bytes, False, self._cache
        )

    def options(self, *, to_fill: bool) -> Options:
        table = BlockBasedOptions()
        table.set_bloom_filter(_BLOOM_BITS, False)
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_block_size(_BLOCK_BYTES)
        # In parts: the whole filter of a large file (ten bits a row) is larger than what the cache
        # keeps in one piece (a 64th of it), and would be read anew for each key.
        table.set_index_type(BlockBasedIndexType.two_level_index_search())
        table.set_partition_filters(True)
        table.set_pin_top_level_index_and_filter(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(max(self._buffer_bytes // 8, _SMALLEST_BUFFER_BYTES))
        options.set_max_write_buffer_number(2)
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(0.0 if to_fill else _BLOOM_SHARE)
        files = _FILES_WHILE_FILLING if to_fill else _FILES
        options.set_level_zero_file_num_compaction_trigger(files)
        options.set_max_open_files(_MAX_OPEN_FILES)
        options.set_compression_type(DBCompressionType.lz4())
        # Its own log is a file nobody reads; a broken store speaks through exceptions.
        options.set_keep_log_file_num(1)
        return options


class LocalStore:
    """An open directory. Raises `StoreFailed` when it cannot be opened, read or written, and
    `StoreDamaged`, now and at each later opening, when only building it anew helps."""

    def __init__(
        self,
        path: Path,
        budget: StoreBudget,
        *,
        to_fill: bool = False,
        beside: Path | None = None,
    ) -> None:
        """`to_fill`: until `settle`, very much may be written and little is read, so files are merged
        seldom, many at once, and write buffers have no filters, which nobody would ask.
        `beside`, a folder for RocksDB's log, opens it to be read as it is now, while another
        process may go on writing it."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._is_ours = beside is None
        self._files = _FILES_WHILE_FILLING if to_fill else _FILES
        access = AccessType.read_write() if beside is None else AccessType.secondary(str(beside))
        if (path / _DAMAGED).exists():
            raise StoreDamaged(f"{path.name}: found damaged when it was last read")
        try:
            options = budget.options(to_fill=to_fill)
            # Also by name: or a store that exists is opened with what its OPTIONS file says, which
            # holds neither our cache nor our filters.
            self._db = Rdict(str(path), options, {"default": options}, access)
        except Exception as error:
            raise self._failed(error) from error
        try:
            self._offset = self._integer(_OFFSET_KEY)
        except StoreFailed:
            self.close()  # or its lock would keep us from building it anew
            raise

    @property
    def offset(self) -> int | None:
        """The changelog offset of the newest rows applied; None for an empty store."""
        return self._offset

    @property
    def touched_ms(self) -> int | None:
        """When it was last known to be at the end of its changelog."""
        return self._integer(_TOUCHED_KEY)

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._failed(error) from error
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """In whatever order; many that are sorted cost least."""
        try:
            return self._walk(keys) if _are_sorted_crowd(keys) else self._find(keys)
        except Exception as error:
            raise self._failed(error) from error

    def scan(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """All of start <= key < end, in key order, or the first `limit`: never fewer, or the rest of
        an audience would be passed over."""
        found: list[tuple[bytes, bytes]] = []
        try:
            rows: Iterator[tuple[Any, Any]] = self._db.items(from_key=start)
            for key, value in islice(rows, limit):
                if key >= end:
                    return found
                found.append((key, value))
            go_on = found[-1][0] + b"\x00" if found else start
            is_whole = len(found) == limit or self._is_at_end(go_on, _below(end))
        except Exception as error:
            raise self._failed(error) from error
        if not is_whole:
            raise StoreFailed(f"{self.path.name}: a scan ended where there are more rows")
        return found

    def apply(self, rows: Iterable[tuple[bytes, bytes | None]], offset: int) -> int:
        """Rows with the changelog offset that they reach, or nothing; how many. Raises `StaleRows`."""
        if self._offset is not None and offset <= self._offset:
            raise StaleRows(f"{self.path.name}: offset {offset} is not after {self._offset}")
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in rows:
            if value is None:
                delete(key)
            else:
                put(key, value)
        count = len(batch)
        put(_OFFSET_KEY, _INTEGER.pack(offset))
        self._write(batch)
        self._offset = offset
        return count

    def settle(self) -> None:
        """It was filled, or has rested: from now on it is read as much as written."""
        self._merge_by(_FILES, memtable_prefix_bloom_size_ratio=str(_BLOOM_SHARE))

    def rest(self) -> None:
        """Nothing is written to it for now: its files are merged while there is time, and whoever comes
        next reads it faster. RocksDB itself goes by how many there are, and knows no rest."""
        self._merge_by(_FILES_AT_REST)

    def touch(self, now_ms: int) -> None:
        """Note that the store is at its changelog's end now."""
        batch = WriteBatch(raw_mode=True)
        batch.put(_TOUCHED_KEY, _INTEGER.pack(now_ms))
        self._write(batch)

    def sweep(
        self, start: bytes, limit: int, is_garbage: Callable[[bytes, bytes], bool]
    ) -> bytes | None:
        """Look at `limit` rows from `start` and delete the garbage, here only; where to go on.

        The changelog is not told: it forgets by its own retention, and a restore brings such
        rows back as garbage again.
        """
        rows = self.scan(max(start, _FIRST_ROW), b"\xff" * 16, limit)
        batch = WriteBatch(raw_mode=True)
        for key, value in rows:
            if is_garbage(key, value):
                batch.delete(key)
        if len(batch):
            self._write(batch)
        return rows[-1][0] + b"\x00" if len(rows) == limit else None

    def close(self) -> None:
        """Writes what is in memory only, which a full disk may refuse: then it is in RocksDB's log."""
        try:
            self._db.close()
        except Exception as error:
            raise self._failed(error) from error

    def destroy(self) -> None:
        """Close and delete the directory."""
        self.close()
        destroy(self.path)

    def _merge_by(self, files: int, **besides: str) -> None:
        if files == self._files:
            return
        try:
            self._db.set_options({"level0_file_num_compaction_trigger": str(files), **besides})
        except Exception as error:
            raise self._failed(error) from error
        self._files = files

    def _write(self, batch: WriteBatch) -> None:
        try:
            self._db.write(batch)
        except Exception as error:
            raise self._failed(error) from error

    def _find(self, keys: Sequence[bytes]) -> list[bytes | None]:
        values: Any = self._db.get(list(keys))
        return cast(list[bytes | None], values)

    def _walk(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """From row to row, as long as half of those passed are asked for, and few were deleted in
        between; the rest is found one by one."""
        until = _below(keys[-1] + b"\x00")
        until.set_max_skippable_internal_keys(_MOST_SKIPPED)
        rows: Iterator[tuple[Any, Any]] = self._db.items(from_key=keys[0], read_opt=until)
        passed: dict[bytes, bytes] = {}
        go_on, known, is_over = keys[0], 0, False
        while not is_over and len(passed) <= 2 * known + _CROWD:
            some = list(islice(rows, _CROWD))
            if some:
                passed.update(some)
                last = some[-1][0]
                go_on, known = last + b"\x00", bisect_right(keys, last)
            if len(some) < _CROWD:
                if self._is_at_end(go_on, until):
                    known = len(keys)
                is_over = True
        values = [passed.get(key) for key in keys[:known]]
        return values + self._find(keys[known:]) if known < len(keys) else values

    def _is_at_end(self, start: bytes, until: ReadOptions) -> bool:
        """Whether there is no row from `start` on. `items` ends in silence at a block that cannot be
        read, as if there were no more rows, or where it skipped too many. Raises what RocksDB says of
        the former, where it still cannot be read: a file that could not be opened may be by now."""
        rows = self._db.iter(until)
        rows.seek(start)
        try:
            rows.status()
        except Exception as error:
            if not str(error).startswith(_SKIPPED_TOO_MANY):
                raise
            return False
        return not rows.valid()

    def _failed(self, error: Exception) -> StoreFailed:
        """rocksdict raises bare exceptions for whatever RocksDB says: name the store.

        Damage that only a read could show would be met again and again: the next start must know.
        """
        said = f"{self.path.name}: {error}"
        if not _SAYS_DAMAGE.match(str(error)):
            return StoreFailed(said)
        if self._is_ours:
            with contextlib.suppress(OSError):  # then it is met again: bad, but nothing is hidden
                (self.path / _DAMAGED).touch()
        return StoreDamaged(said)

    def _integer(self, key: bytes) -> int | None:
        value = self.get(key)
        return None if value is None else int(_INTEGER.unpack(value)[0])


def _below(end: bytes) -> ReadOptions:
    until = ReadOptions()
    until.set_iterate_upper_bound(end)
    return until


def _are_sorted_crowd(keys: Sequence[bytes]) -> bool:
    if len(keys) < _CROWD or any(former > later for former, later in pairwise(keys[:8])):
        return False  # as eight of any others nearly always say
    return list(keys) == sorted(keys)


def bytes_on_disk(folder: Path) -> int:
    """What the stores in a folder take up."""
    total = 0
    for path in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):  # compaction removes files meanwhile
            total += path.stat().st_size
    return total


def destroy(path: Path) -> None:
    """Delete a store's directory; raises `OSError` when that cannot be, or what is left of it would
    pass for a store."""
    if path.exists():
        shutil.rmtree(path)
