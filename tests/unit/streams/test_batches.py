"""What is compressed of what workers write, and what is not worth it."""

from aiokafka.record.memory_records import MemoryRecords

from streams.batches import SMALL_BYTES, Content, batches_of

RECEIPT = b'{"status":"sent","channel":"email"}'
COMPRESSION_BITS = 0x07


def contents(count: int) -> list[Content]:
    return [(b"ann", RECEIPT, ()) for _ in range(count)]


def compression_of(batch: bytes) -> int:
    attributes = int.from_bytes(batch[21:23], "big")
    return attributes & COMPRESSION_BITS


def test_a_single_receipt_is_written_as_it_is() -> None:
    (batch,) = batches_of(contents(1))
    written = batch.build(1, 0, 0)

    assert RECEIPT in written
    assert compression_of(written) == 0


def test_many_receipts_are_compressed_and_read_as_they_were_written() -> None:
    count = SMALL_BYTES // len(RECEIPT) + 1
    (batch,) = batches_of(contents(count))
    written = batch.build(1, 0, 0)

    assert len(written) < SMALL_BYTES
    assert compression_of(written) == 4
    read = MemoryRecords(written).next_batch()
    assert read is not None
    assert [each.value for each in read] == [RECEIPT] * count
