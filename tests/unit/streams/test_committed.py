"""Which of a changelog's batches count, in cases that a broker makes up seldom."""

import struct

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.committed import AbortedTransaction, Fetched

_ATTRIBUTES_AT, _COUNT_AT, _RECORDS_AT = 21, 57, 61
_TRANSACTIONAL, _CONTROL = 0x10, 0x20
_ABORT, _COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"


def batch(at: int, *keys: bytes, producer: int = 1, attributes: int = _TRANSACTIONAL) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 1, producer, 0, 0, 1_000_000)
    for delta, key in enumerate(keys):
        builder.append(delta, 0, key, b"", [])
    built = bytearray(builder.build())
    struct.pack_into(">q", built, 0, at)
    struct.pack_into(">h", built, _ATTRIBUTES_AT, attributes)
    return bytes(built)


def marker(at: int, key: bytes, producer: int = 1) -> bytes:
    return batch(at, key, producer=producer, attributes=_TRANSACTIONAL | _CONTROL)


def emptied(full: bytes) -> bytes:
    """What compaction leaves of a batch that is the last of its producer."""
    built = bytearray(full[:_RECORDS_AT])
    struct.pack_into(">i", built, 8, _RECORDS_AT - 12)
    struct.pack_into(">i", built, _COUNT_AT, 0)
    return bytes(built)


def keys_of(
    *batches: bytes, position: int = 0, end: int = 100, aborted: tuple[AbortedTransaction, ...] = ()
) -> list[bytes | None]:
    return [each.key for each in Fetched(position, b"".join(batches), aborted).records(end)]


def test_an_answer_without_batches_leaves_the_position_where_it_is() -> None:
    fetched = Fetched(7, b"", ())
    assert (fetched.next_position, list(fetched.records(100))) == (7, [])


def test_what_lies_before_the_position_or_behind_the_end_in_a_batch_is_left_out() -> None:
    four = batch(0, b"0", b"1", b"2", b"3")
    assert keys_of(four, position=1) == [b"1", b"2", b"3"]
    assert keys_of(four, end=3) == [b"0", b"1", b"2"]
    assert keys_of(four, position=1, end=3) == [b"1", b"2"]


def test_a_batch_that_was_cut_off_is_to_be_fetched_again() -> None:
    whole, cut = batch(0, b"0", b"1"), batch(2, b"2")[:-1]
    fetched = Fetched(0, whole + cut, ())
    assert [each.key for each in fetched.records(100)] == [b"0", b"1"]
    assert fetched.next_position == 2


def test_a_batch_that_compaction_emptied_moves_the_position_past_it() -> None:
    fetched = Fetched(0, emptied(batch(0, b"0", b"1", b"2")), ())
    assert (fetched.next_position, list(fetched.records(100))) == (3, [])


def test_a_producer_aborts_from_the_first_offset_of_its_transaction_to_its_marker() -> None:
    batches = (
        batch(0, b"committed"),
        marker(1, _COMMIT),
        batch(2, b"aborted"),
        batch(3, b"another's", producer=2),
        batch(4, b"aborted, too"),
        marker(5, _ABORT),
        batch(6, b"committed again"),
    )
    found = keys_of(*batches, aborted=((1, 2),))
    assert found == [b"committed", b"another's", b"committed again"]


def test_a_transaction_that_was_aborted_before_the_position_is_none_of_ours() -> None:
    found = keys_of(marker(5, _ABORT), batch(6, b"committed"), position=5, aborted=((1, 2),))
    assert found == [b"committed"]


def test_transactions_are_aborted_in_the_order_of_their_offsets_whatever_the_leader_says() -> None:
    batches = (
        batch(0, b"a"), marker(1, _ABORT), batch(2, b"b"), marker(3, _COMMIT),
        batch(4, b"c"), marker(5, _ABORT),
    )  # fmt: skip
    assert keys_of(*batches, aborted=((1, 4), (1, 0))) == [b"b"]


def test_what_was_written_outside_of_transactions_counts_whoever_aborts() -> None:
    assert keys_of(batch(0, b"plain", attributes=0), aborted=((1, 0),)) == [b"plain"]


def test_a_marker_that_compaction_emptied_is_no_reason_to_stop() -> None:
    batches = emptied(marker(0, _ABORT)), batch(1, b"committed")
    assert keys_of(*batches) == [b"committed"]
