"""Files of a store are merged while its partition rests, not in the time of whoever writes much."""

from streams.partition_files import PartitionFiles
from tables.state import Kind
from tests.integration.streams.desk import MARK_OFFSETS
from tests.integration.streams.shelf import Shelf


async def test_a_partition_that_rests_for_thirty_looks_has_the_files_of_both_stores_merged(
    shelf: Shelf,
) -> None:
    files, _ = await shelf.restored()

    look(files, times=29)
    assert shelf.merged_by() == {8}
    look(files, times=1)
    assert shelf.merged_by() == {2}


async def test_a_partition_of_which_one_store_is_written_to_rests_no_more(shelf: Shelf) -> None:
    files, _ = await shelf.restored()
    look(files, times=30)

    files.apply(Kind.TRANSIENT, {b"k": b""}, MARK_OFFSETS)
    look(files, times=1)
    assert shelf.merged_by() == {8}
    look(files, times=29)
    assert shelf.merged_by() == {8}
    look(files, times=1)
    assert shelf.merged_by() == {2}


def look(files: PartitionFiles, *, times: int) -> None:
    for _ in range(times):
        files.merge_at_rest()
