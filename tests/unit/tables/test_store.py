"""A store is a prefix of its changelog: it goes forward, or says why it cannot."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tables.state import StaleRows, StoreFailed
from tables.store import LocalStore, StoreBudget, bytes_on_disk


def budget() -> StoreBudget:
    return StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    opened = LocalStore(tmp_path / "store", budget())
    yield opened
    opened.close()


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


def test_a_directory_that_is_no_store_is_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", budget())
    store.apply([(b"a", b"1")], 1)
    store.close()
    (tmp_path / "store" / "CURRENT").write_text("rubbish\n")

    with pytest.raises(StoreFailed, match="store"):
        LocalStore(tmp_path / "store", budget())


def test_what_stores_take_up_grows_with_their_rows(store: LocalStore) -> None:
    empty = bytes_on_disk(store.path.parent)
    store.apply([(b"k%d" % number, bytes(1000)) for number in range(100)], 1)

    assert bytes_on_disk(store.path.parent) >= empty + 100_000


DISK_FULL = """
import resource, signal, sys
from pathlib import Path
from tables.state import StoreFailed
from tables.store import LocalStore, StoreBudget

store = LocalStore(Path(sys.argv[1]), StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20))
store.apply([(b"before", b"1")], 1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # files stop growing: a full disk
try:
    for offset in range(2, 20):
        store.apply([(b"k%d" % offset, bytes(40_000))], offset)
except StoreFailed as error:
    print("failed", store.offset, error)
"""


def test_a_disk_that_takes_no_more_fails_with_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "store"
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(path)], capture_output=True, text=True, check=True
    )

    word, offset, cause = done.stdout.split(maxsplit=2)
    assert word == "failed"
    assert "store" in cause
    again = LocalStore(path, budget())
    assert again.offset == int(offset), "the disk holds what was said to be applied, and no more"
    again.close()
