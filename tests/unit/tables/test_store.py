"""A store is a prefix of its changelog: it goes forward, or says why it cannot."""

import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tables.state import StaleRows, StoreDamaged, StoreFailed
from tables.store import LocalStore, StoreBudget, bytes_on_disk, destroy
from tests.unit.tables.stores import budget


def test_a_new_store_has_no_offset_and_no_rows(store: LocalStore) -> None:
    assert store.offset is None
    assert store.touched_ms is None
    assert store.get(b"a") is None
    assert store.get_many([b"a", b"b"]) == [None, None]


def test_rows_and_their_offset_outlive_the_process(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", budget())
    store.apply([(b"a", b"1"), (b"b", b"2")], 4)
    store.apply([(b"a", None), (b"c", b"")], 9)
    store.touch(1234)
    store.close()

    again = LocalStore(tmp_path / "store", budget())
    assert again.offset == 9
    assert again.touched_ms == 1234
    assert again.get_many([b"a", b"b", b"c"]) == [None, b"2", b""]
    again.close()


def test_a_store_that_is_filled_merges_its_files_when_it_was(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", budget(), to_fill=True)

    megabytes = [random.Random(number).randbytes(1 << 20) for number in range(48)]
    for number, megabyte in enumerate(megabytes):
        store.apply([(b"%d" % number, megabyte)], number)
    _wait_until(lambda: files_of(store) > 8)
    store.settle()
    _wait_until(lambda: files_of(store) <= 8)

    assert store.get_many([b"%d" % number for number in range(48)]) == megabytes
    assert store.offset == 47
    store.close()


def test_a_store_that_rests_has_its_files_merged_until_it_is_written_to(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", budget())

    def write(first: int) -> None:
        for number in range(first, first + 16):
            store.apply([(b"%d" % number, random.Random(number).randbytes(1 << 20))], number)

    write(0)
    _wait_until(lambda: files_of(store) >= 3)
    store.rest()
    _wait_until(lambda: files_of(store) < 3)
    store.settle()
    write(16)
    _wait_until(lambda: files_of(store) >= 3)

    assert len(store.get(b"15") or b"") == 1 << 20
    store.close()


def test_only_while_it_is_filled_a_write_buffer_has_no_filter(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", budget(), to_fill=True)

    def share() -> float:
        *_, newest = sorted(store.path.glob("OPTIONS-*"))
        (said,) = re.findall(r"memtable_prefix_bloom_size_ratio=(\S+)", newest.read_text())
        return float(said)

    assert share() == 0
    store.settle()
    assert share() == 0.02
    store.close()


def files_of(store: LocalStore) -> int:
    return len(list(store.path.glob("*.sst")))


def _wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.01)


@pytest.mark.parametrize("offset", [4, 3, 0])
def test_rows_that_are_not_newer_are_refused_whole(store: LocalStore, offset: int) -> None:
    store.apply([(b"a", b"new")], 4)

    with pytest.raises(StaleRows):
        store.apply([(b"a", b"old"), (b"b", b"old")], offset)

    assert store.offset == 4
    assert store.get_many([b"a", b"b"]) == [b"new", None]


def test_a_scan_sees_its_range_in_order_and_none_of_the_stores_own_rows(store: LocalStore) -> None:
    store.apply([(b"\x01c", b"3"), (b"\x01a", b"1"), (b"\x02", b"9"), (b"\x01b", b"2")], 1)
    store.touch(1)

    assert store.scan(b"\x01", b"\x02", 10) == [
        (b"\x01a", b"1"),
        (b"\x01b", b"2"),
        (b"\x01c", b"3"),
    ]
    assert store.scan(b"\x01b", b"\x02", 1) == [(b"\x01b", b"2")]


@pytest.mark.parametrize("asked_of_each", [1, 2, 3, 50])
@pytest.mark.parametrize("kept_of_each", [1, 2, 40, 500])
def test_many_sorted_keys_are_found_whatever_lies_between_them(
    store: LocalStore, asked_of_each: int, kept_of_each: int
) -> None:
    rows = {b"k%05d" % number: b"%d" % number for number in range(10_000)}
    store.apply(rows.items(), 1)
    deleted = {key: None for number, key in enumerate(rows) if number % kept_of_each}
    store.apply(deleted.items(), 2)
    keys = [b"k%05d" % number for number in range(500, 12_000, asked_of_each)]

    found = store.get_many(keys)

    held = {key: value for key, value in rows.items() if key not in deleted}
    assert found == [held.get(key) for key in keys]
    assert store.get_many(keys[::-1]) == found[::-1]


def test_a_row_is_found_without_reading_what_tells_of_all_others(tmp_path: Path) -> None:
    # One file of them, whose filter as a whole would not fit into a shard of the cache.
    large = StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=512 << 20)
    store = LocalStore(tmp_path / "store", large)
    keys = [b"%016d" % number for number in range(450_000)]
    store.apply([(key, b"") for key in keys], 1)
    store.close()
    store = LocalStore(tmp_path / "store", large)
    sought = random.Random(1).sample(keys, 100)

    read_before = _bytes_read()
    found = [store.get(key) for key in sought]

    assert found == [b""] * len(sought)
    assert (_bytes_read() - read_before) / len(sought) < 50_000
    store.close()


def test_a_sweep_goes_round_in_small_steps_and_deletes_only_garbage(store: LocalStore) -> None:
    rows = [(b"k%02d" % number, b"old" if number % 3 else b"new") for number in range(10)]
    store.apply([*rows], 1)

    start: bytes | None = b""
    steps = 0
    while start is not None:
        start = store.sweep(start, 4, lambda key, value: value == b"old")
        steps += 1

    assert steps == 3
    assert [value for _, value in store.scan(b"k", b"l", 20)] == [b"new"] * 4
    assert store.offset == 1, "what is swept is no news to the changelog"


Rows = list[tuple[bytes, bytes]]


def fill(path: Path) -> dict[int | None, Rows]:
    """A store of several files, all its rows having come in many steps; what it held after each."""
    randomness = random.Random(3)
    held: dict[bytes, bytes] = {}
    states: dict[int | None, Rows] = {None: []}
    for life in range(3):  # each leaves a file of rows, the last one a log
        store = LocalStore(path, budget())
        for offset in range(10 * life, 10 * life + 10):
            rows = [
                (b"k%03d" % randomness.randrange(400), randomness.randbytes(300)) for _ in "12345"
            ]
            store.apply([*rows], offset)
            held.update(rows)
            states[offset] = sorted(held.items())
        store.close()
    return states


def rows_read(path: Path) -> tuple[int | None, Rows]:
    """Offset and rows of a store, read in all ways; raises `StoreDamaged`."""
    store = LocalStore(path, budget())
    try:
        rows = store.scan(b"\x01", b"\xff", 1000)
        keys = [b"k%03d" % number for number in range(400)]
        for asked in (keys, keys[::-1]):  # sorted ones are read otherwise
            found = zip(asked, store.get_many(asked), strict=True)
            assert sorted((key, value) for key, value in found if value is not None) == rows
        return store.offset, rows
    finally:
        store.close()


def damage(folder: Path, file: Path, at: int) -> Path:
    """A copy of the folder with eight bytes of one of its files turned over."""
    path = folder.with_name(f"{file.name}-{at}")
    shutil.copytree(folder, path)
    content = bytearray(file.read_bytes())
    content[at : at + 8] = bytes(byte ^ 0xFF for byte in content[at : at + 8])
    (path / file.name).write_bytes(content)
    return path


def test_a_damaged_store_fails_or_holds_what_it_held_at_its_offset(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    states = fill(folder)
    failed = 0
    for file in folder.iterdir():
        for at in range(0, file.stat().st_size if file.name != "LOG" else 0, 2000):
            try:
                offset, rows = rows_read(damage(folder, file, at))
            except StoreDamaged:
                failed += 1
            else:
                assert rows == states[offset], f"partial rows after damage to {file.name} at {at}"

    assert failed > 20, "RocksDB noticed nothing: the damage is none"


def test_a_store_that_was_read_damaged_is_refused_from_then_on(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    fill(folder)
    (rows, *_) = sorted(folder.glob("*.sst"))
    path = damage(folder, rows, 4000)
    with pytest.raises(StoreDamaged, match="Corruption"):
        rows_read(path)

    with pytest.raises(StoreDamaged, match="damaged when it was last read"):
        LocalStore(path, budget())
    destroy(path)
    LocalStore(path, budget()).close()


def test_a_store_whose_offset_cannot_be_read_lets_go_of_its_directory(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    fill(folder)
    for rows in folder.glob("*.sst"):  # the offset's key is the first
        rows.write_bytes(bytes(50) + rows.read_bytes()[50:])

    with pytest.raises(StoreDamaged):
        LocalStore(folder, budget())

    destroy(folder)
    LocalStore(folder, budget()).close()


@pytest.mark.parametrize("missing", ["*.sst", "MANIFEST*", "CURRENT"])
def test_a_store_that_lacks_a_file_is_damaged(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "store"
    fill(folder)
    for file in folder.glob(missing):
        file.unlink()

    with pytest.raises(StoreDamaged):
        rows_read(folder)


def test_a_store_in_use_is_not_taken_for_a_damaged_one(store: LocalStore) -> None:
    with pytest.raises(StoreFailed, match="lock") as caught:
        LocalStore(store.path, budget())

    assert not isinstance(caught.value, StoreDamaged)


def test_stores_share_one_bound_of_memory(tmp_path: Path) -> None:
    shared = budget()
    stores = [LocalStore(tmp_path / name, shared) for name in "abcd"]

    def said_of(name: str) -> int:
        return sum(store._db.property_int_value(f"rocksdb.{name}") or 0 for store in stores)

    for offset in range(38):  # not enough to fill the smallest buffer of any of them
        for store in stores:
            store.apply([(b"k%d" % offset, bytes(100_000))], offset)
            until = time.monotonic() + 20
            while said_of("mem-table-flush-pending") + said_of(
                "num-running-flushes"
            ):  # what is being written to disk still counts
                assert time.monotonic() < until
                time.sleep(0.001)

    unwritten = said_of("cur-size-all-mem-tables")
    for store in stores:
        store.close()
    assert unwritten < 8_000_000, "15 MB were put into them; one bound holds for all four"


def test_a_store_that_is_opened_again_is_within_the_budget_too(tmp_path: Path) -> None:
    path = tmp_path / "store"
    LocalStore(path, budget()).close()

    again = LocalStore(path, budget())

    assert again._db.property_int_value("rocksdb.block-cache-capacity") == 1 << 20
    *_, newest = sorted(path.glob("OPTIONS-*"))
    assert "filter_policy=bloomfilter" in newest.read_text()
    again.close()


def test_what_stores_take_up_grows_with_their_rows(store: LocalStore) -> None:
    empty = bytes_on_disk(store.path.parent)
    store.apply([(b"k%d" % number, bytes(1000)) for number in range(100)], 1)

    assert bytes_on_disk(store.path.parent) >= empty + 100_000


def _bytes_read() -> int:
    """By this process so far, from whatever files."""
    label, count = Path("/proc/self/io").read_text().split()[:2]
    assert label == "rchar:"
    return int(count)
