"""Stores on a real RocksDB, with as little memory as does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tables.store import LocalStore, StoreBudget


def budget() -> StoreBudget:
    return StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    opened = LocalStore(tmp_path / "store", budget())
    yield opened
    opened.close()
