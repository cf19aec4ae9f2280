"""How a process divides the memory that `workers.memory` grants it.

About 110 MiB are taken by the interpreter with everything imported; of the rest most is decoded
records and what batches make of them, which is several times what was read. What is bounded here
is what was read and what the stores cache. `docs/operations.md` has the measurements.
"""

import gc
from typing import NamedTuple


class MemoryParts(NamedTuple):
    """Bytes each."""

    cache: int
    """RocksDB's blocks, of all partitions; the write buffers count against it."""
    write_buffers: int
    """Three quarters of the cache, as long as there is much to write: the less they hold, the more
    often all is merged again (decision 18)."""
    intake: int
    """Records that wait for a batch, of all sources."""
    room: int
    """Records that batches work on, of each urgency."""


def parts_of(memory_bytes: int) -> MemoryParts:
    return MemoryParts(
        cache=memory_bytes // 4,
        write_buffers=memory_bytes * 3 // 16,
        intake=memory_bytes // 8,
        room=memory_bytes // 128,
    )


def spare_the_collector() -> None:
    """What was imported lives for ever, and a batch makes many objects that die with it: the
    collector's defaults would walk all of them every few hundred items. The batches of eight
    partitions, 500 requests each, hold fifty thousand at once and more: with a threshold below that,
    the collector would walk each of them in vain, for a twelfth of what a request costs."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
