"""Batch records of an import: one partition each, bounded, in order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ids import partition_of
from schemas.recipient_events import ImportedDevice, ImportedRecipient, decode_import
from streams.importing.batching import MAX_RECIPIENTS, Batches

LARGEST = 512 * 1024


@settings(max_examples=30)
@given(users=st.lists(st.integers(0, 40), max_size=1500), partitions=st.integers(1, 8))
def test_every_recipient_is_in_one_record_of_their_partition_in_the_order_they_came(
    users: list[int], partitions: int
) -> None:
    batches = Batches(partitions=partitions)
    given_ = [ImportedRecipient(f"u{user}", number) for number, user in enumerate(users)]

    full = [batches.add(each) for each in given_]
    records = [record for record in full if record is not None] + list(batches.rest())

    found = []
    for record in records:
        items = decode_import(record.value or b"").items
        assert 0 < len(items) <= MAX_RECIPIENTS
        assert {partition_of(item.user_id, partitions) for item in items} == {record.partition}
        found += items
    for user in set(users):
        ours = [item for item in given_ if item.user_id == f"u{user}"]
        assert [item for item in found if item.user_id == f"u{user}"] == ours


def test_a_record_stays_small_however_long_tokens_are() -> None:
    batches = Batches(partitions=1)
    devices = tuple(ImportedDevice(f"d{number}", "t" * 4096, "ios") for number in range(32))

    full = [batches.add(ImportedRecipient(f"u{number}", 0, devices=devices)) for number in range(9)]

    sizes = [len(record.value or b"") for record in full if record is not None]
    assert len(sizes) == 8
    assert max(sizes) < LARGEST
