"""A store without descriptors or room says so: it hides no row, and is not taken for damaged."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest

from tables.state import StoreFailed
from tables.store import LocalStore
from tests.unit.tables.stores import budget


class ReadsFailOnce:
    """RocksDB where a file cannot be opened while its rows are gone through, and can be afterwards:
    after `rows` of them they seem to be over."""

    def __init__(self, whole: Any, rows: int) -> None:
        self._whole = whole
        self._rows = rows

    def items(self, **options: Any) -> Iterator[tuple[bytes, bytes]]:
        return islice(self._whole.items(**options), self._rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


@pytest.mark.parametrize("seen", [0, 1, 63])
def test_a_scan_that_a_passing_error_cut_short_fails(store: LocalStore, seen: int) -> None:
    store.apply([(b"k%05d" % number, b"1") for number in range(100)], 1)
    store._db = cast(Any, ReadsFailOnce(store._db, seen))

    with pytest.raises(StoreFailed, match="more rows"):
        store.scan(b"k", b"l", 100)

    assert len(store.scan(b"k", b"k%05d" % seen, 100)) == seen, "all of what was asked for"


@pytest.mark.parametrize("held", [1, 2, 100])
@pytest.mark.parametrize("seen", [0, 1, 64])
def test_many_keys_are_found_though_a_passing_error_cut_a_walk_short(
    store: LocalStore, seen: int, held: int
) -> None:
    keys = [b"k%05d" % number for number in range(100)]
    store.apply([(key, b"1") for key in keys[:held]], 1)
    store._db = cast(Any, ReadsFailOnce(store._db, seen))

    assert store.get_many(keys) == [b"1"] * held + [None] * (100 - held)


TOO_MANY_FILES = """
import os, resource, sys
from pathlib import Path
from tables.state import StoreDamaged, StoreFailed
from tables.store import LocalStore, StoreBudget

given = StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20)
refused = 0
for spare in range(20):  # files that may be opened yet: a store needs more
    taken = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken + spare, 4096))
    try:
        LocalStore(Path(sys.argv[1]), given).close()
    except StoreDamaged as error:
        sys.exit(f"with {spare} files: {error}")
    except StoreFailed:
        refused += 1
print(refused)
"""


def test_too_many_open_files_are_not_taken_for_damage(tmp_path: Path) -> None:
    for offset in range(3):
        store = LocalStore(tmp_path / "store", budget())
        store.apply([(b"k", b"%d" % offset)], offset)
        store.close()

    command = [sys.executable, "-c", TOO_MANY_FILES, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3


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


CLOSED_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from tables.state import StoreFailed
from tables.store import LocalStore, StoreBudget

store = LocalStore(Path(sys.argv[1]), StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20))
store.apply([(b"k%d" % number, b"%d" % number * 10_000) for number in range(20)], 1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    store.close()
except StoreFailed as error:
    print(error)
"""


def test_a_store_that_cannot_be_closed_says_which_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_ON_A_FULL_DISK, str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.startswith("store: IO error"), done.stderr
    again = LocalStore(path, budget())
    assert again.offset == 1
    again.close()
