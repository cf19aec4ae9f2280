"""Records as batches of a transaction: what is appended to one place in one request."""

import time
from collections.abc import Iterable, Iterator
from itertools import chain

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from schemas.kafka import Headers

COMPRESSION = "zstd"
"""A third of the time of lz4, which aiokafka asks for at its highest level, and a third smaller."""
_NONE, _ZSTD = 0, 4
"""How a batch says so."""
SMALL_BYTES = 1024
"""So little is sent as it is: to compress it, and to look into it at the broker and at every reader,
takes longer than all else that is done with it."""
_MAX_BATCH_BYTES = 1_000_000
_NO_HEADERS: list[tuple[str, bytes]] = []

Content = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record."""


class Batch:
    """Records in the making; sent as one, compressed."""

    def __init__(self, compression: int) -> None:
        self.count = 0
        self._builder = DefaultRecordBatchBuilder(
            2, compression, is_transactional=1, producer_id=-1, producer_epoch=-1, base_sequence=0,
            batch_size=_MAX_BATCH_BYTES,
        )  # fmt: skip

    def fill(self, contents: Iterable[Content], at_ms: int) -> Content | None:
        """Append as many as there is room for, which is one at least; the first that is left over."""
        append, count, left_over = self._builder.append, self.count, None
        for key, value, headers in contents:
            if append(count, at_ms, key, value, list(headers) if headers else _NO_HEADERS) is None:
                left_over = key, value, headers
                break
            count += 1
        self.count = count
        return left_over

    def build(self, producer_id: int, epoch: int, sequence: int) -> bytes:
        """Once."""
        self._builder.set_producer_state(producer_id, epoch, sequence)
        return bytes(self._builder.build())


def batches_of(contents: Iterable[Content]) -> list[Batch]:
    """As few as they fit into, in order."""
    at_ms = time.time_ns() // 1_000_000
    contents = iter(contents)
    begun, is_small = _begin(contents)
    compression = _NONE if is_small else _ZSTD
    rest = chain(begun, contents)
    batches = [Batch(compression)]
    left_over = batches[-1].fill(rest, at_ms)
    while left_over is not None:
        batches.append(Batch(compression))
        left_over = batches[-1].fill(chain([left_over], rest), at_ms)
    return batches


def _begin(contents: Iterator[Content]) -> tuple[list[Content], bool]:
    """As many as it takes to see whether all of them are small, taken out; and whether they are."""
    begun, size = list[Content](), 0
    for content in contents:
        begun.append(content)
        size += len(content[0] or b"") + len(content[1] or b"")
        if size > SMALL_BYTES:
            return begun, False
    return begun, True
