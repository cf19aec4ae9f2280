"""Files of a store are merged while its partition rests, not in the time of whoever writes much."""

from itertools import count

from streams.partition_files import PartitionFiles
from tables.packing import Rows
from tables.state import Kind
from tests.integration.streams.desk import MARK_OFFSETS
from tests.integration.streams.shelf import Shelf

OFFSETS = count(MARK_OFFSETS)


async def test_a_partition_that_rests_for_five_looks_has_the_files_of_both_stores_merged(
    shelf: Shelf,
) -> None:
    files, _ = await shelf.restored()

    look(files, times=4)
    assert shelf.merged_by() == {8}
    look(files, times=1)
    assert shelf.merged_by() == {2}


async def test_a_partition_of_which_one_store_is_much_written_to_does_not_rest(
    shelf: Shelf,
) -> None:
    files, _ = await shelf.restored()
    look(files, times=5)

    look(files, times=1, rows=1000)
    assert shelf.merged_by() == {8}
    look(files, times=4, rows=999)
    assert shelf.merged_by() == {8}
    look(files, times=1, rows=999)
    assert shelf.merged_by() == {2}


def look(files: PartitionFiles, *, times: int, rows: int = 0) -> None:
    """So many looks, before each of which so many rows are written."""
    for _ in range(times):
        written: Rows = {b"%d" % number: b"" for number in range(rows)}
        files.apply(Kind.TRANSIENT, written, next(OFFSETS))
        files.merge_at_rest()
