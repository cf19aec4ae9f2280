"""Records as a producer in C may write them: names of headers are any bytes, values may be none."""

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.structs import RecordMetadata

RawHeader = tuple[bytes, bytes | None]
LZ4 = 3


class _Raw(str):
    """A name, a character a byte, that is written as those bytes."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("latin-1")


async def append_raw(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: Sequence[tuple[bytes | None, Sequence[RawHeader]]],
    *,
    compression: int = 0,
) -> RecordMetadata:
    """Append (value, headers) of each record as one batch."""
    batch: Any = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, 0, 1_000_000)
    for value, headers in records:
        named = [(_Raw(name.decode("latin-1")), text) for name, text in headers]
        batch.append(key=None, value=value, timestamp=None, headers=named)
    return await (await producer.send_batch(batch, topic, partition=partition))
