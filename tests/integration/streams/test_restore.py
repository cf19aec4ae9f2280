"""R3 on a real Kafka: local stores come back equal to the committed changelog, or are rebuilt."""

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka.admin import RecordsToDelete

from schemas.kafka import TopicPartition
from streams.committed import CommittedRecord
from streams.names import changelog
from streams.partition_files import PartitionFiles
from streams.restore import ChangelogReader
from tables.expiry import with_expiry
from tables.packing import RowList
from tables.state import ChangelogCut, Kind
from tests.integration.streams.desk import MARK_OFFSETS, ROLE, Desk, transaction
from tests.integration.streams.shelf import DECISION, MAX_AGE_MS, Shelf, Unplugged

TRANSIENT, DURABLE = (changelog(ROLE, kind) for kind in Kind)
BOTH = tuple(Kind)


def rows_of(files: PartitionFiles) -> list[list[tuple[bytes, bytes]]]:
    return [files.scan(kind, b"\x01", b"\xff", 10_000) for kind in BOTH]


def why_rebuilt(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said, as a warning, of each store that was built anew."""
    return [
        vars(each)["why"]
        for each in caplog.records
        if "rebuilding a store" in each.message and each.levelno == logging.WARNING
    ]


COMMIT_OFFSETS = MARK_OFFSETS + 2
"""What a take-over and a commit of one record take."""


async def commit(
    desk: Desk, *, transient: RowList | None = None, durable: RowList | None = None
) -> None:
    log = await desk.log()
    await log.commit(transaction(transient=transient, durable=durable))
    await log.close()


async def abort(desk: Desk) -> None:
    """What a dead owner leaves: rows of both kinds that were never committed, and a marker each."""
    async with desk.producer() as dead:
        await dead.begin_transaction()
        for kind in BOTH:
            topic = desk.names.physical(changelog(ROLE, kind))
            await dead.send_and_wait(topic, key=b"k1", value=b"never committed", partition=0)
        await dead.abort_transaction()


async def test_a_restore_leaves_nothing_out_that_lies_in_an_open_transaction(
    desk: Desk, shelf: Shelf
) -> None:
    await commit(desk, durable=[(b"k1", b"before")])
    async with desk.producer("of a broker that lost the end of a transaction") as unended:
        await unended.begin_transaction()
        topic = desk.names.physical(DURABLE)
        await unended.send_and_wait(topic, key=b"k2", value=b"open", partition=0)

        restoring = asyncio.create_task(shelf.restored())
        done, _ = await asyncio.wait([restoring], timeout=1)
        assert not done

        await unended.commit_transaction()
    files, _ = await restoring

    assert files.get(Kind.DURABLE, b"k2") == b"open"


async def test_a_wiped_disk_comes_back_equal_to_the_one_that_was_written_all_along(
    desk: Desk, shelf: Shelf
) -> None:
    kept, _ = await shelf.restored("kept")
    log = await desk.log()
    randomness = random.Random(5)

    def rows() -> RowList:
        keys = randomness.sample(range(200), 60)
        value = with_expiry(0, randomness.randbytes(randomness.randint(0, 2000)))
        return [(b"k%d" % key, value if randomness.random() < 0.7 else None) for key in keys]

    for _ in range(30):
        written = transaction(transient=rows(), durable=rows())
        committed = await log.commit(written)
        for kind in BOTH:
            kept.apply(kind, written.rows[kind], committed.offsets[kind] or 0)

    wiped, count = await shelf.restored("wiped")
    assert count == 30 * 2 * 60
    assert rows_of(wiped) == rows_of(kept)


async def test_a_disk_that_is_up_to_date_has_nothing_to_read(desk: Desk, shelf: Shelf) -> None:
    await commit(desk, transient=[(b"k", with_expiry(0, b""))], durable=[(b"k", b"1")])
    files, count = await shelf.restored()
    assert count == 2
    files.close()

    _, count = await shelf.restored()
    assert count == 0


async def test_a_disk_that_is_behind_reads_only_what_it_lacks(desk: Desk, shelf: Shelf) -> None:
    await commit(desk, durable=[(b"k%d" % number, b"1") for number in range(50)])
    files, _ = await shelf.restored()
    files.close()
    await commit(desk, durable=[(b"k1", b"2"), (b"k2", None)])

    files, count = await shelf.restored()
    assert count == 2
    assert files.get_many(Kind.DURABLE, [b"k0", b"k1", b"k2"]) == [b"1", b"2", None]


def reader_of(desk: Desk) -> ChangelogReader:
    return ChangelogReader(names=desk.names, connection=desk.connection, patience=desk.patience)


async def test_an_end_before_what_was_certainly_appended_is_not_believed(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """As of a broker that hung, and led the changelog before."""
    await commit(desk, durable=[(b"k", b"1")])
    reader, place = reader_of(desk), TopicPartition(DURABLE, 0)
    reader.must_reach(place, COMMIT_OFFSETS)

    asking = asyncio.create_task(reader.bounds([place]))
    done, _ = await asyncio.wait([asking], timeout=1)
    assert not done
    await commit(desk, durable=[(b"k", b"2")])

    (_, end) = (await asking)[place]
    assert end > COMMIT_OFFSETS
    assert "a broker answers for what it leads no more" in caplog.messages


async def test_an_offset_that_a_broker_does_not_know_of_is_asked_for_again(desk: Desk) -> None:
    """Likewise: it is there, as another has told."""
    await commit(desk, durable=[(b"k", b"1")])
    reader, place = reader_of(desk), TopicPartition(DURABLE, 0)
    found: list[bytes | None] = []

    def sink(records: Iterable[CommittedRecord], last_offset: int) -> None:
        found.extend(record.value for record in records)

    behind = COMMIT_OFFSETS + MARK_OFFSETS  # where the next record will be
    reader.must_reach(place, behind)
    reading = asyncio.create_task(reader.read(place, behind, behind + 1, sink))
    done, _ = await asyncio.wait([reading], timeout=1)
    assert not done
    await commit(desk, durable=[(b"k", b"2")])
    await reading

    assert found == [b"2"]


async def test_rows_of_an_aborted_transaction_are_never_restored(desk: Desk, shelf: Shelf) -> None:
    await commit(desk, transient=[(b"k1", with_expiry(0, b"t"))], durable=[(b"k1", b"d")])
    await abort(desk)

    files, _ = await shelf.restored()
    assert files.get(Kind.TRANSIENT, b"k1") == with_expiry(0, b"t")
    assert files.get(Kind.DURABLE, b"k1") == b"d"


async def test_a_changelog_that_ends_in_markers_is_known_to_be_read_to_its_end(
    desk: Desk, shelf: Shelf
) -> None:
    await commit(desk, durable=[(b"k1", b"d")])
    await abort(desk)
    files, _ = await shelf.restored()

    # A record, its commit marker, an aborted record, its marker: the next offset is 4 more.
    files.apply(Kind.DURABLE, {b"k2": b""}, MARK_OFFSETS + 4)
    files.close()
    await commit(desk, durable=[(b"k3", b"3")])
    files, _ = await shelf.restored()
    assert files.get(Kind.DURABLE, b"k2") == b""


async def cut(desk: Desk, topic: str, before_offset: int) -> None:
    await desk.admin.delete_records({desk.place(topic): RecordsToDelete(before_offset)})


async def test_a_transient_store_behind_what_time_has_left_of_its_changelog_is_rebuilt(
    desk: Desk, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    value = with_expiry(0, b"")
    await commit(desk, transient=[(b"gone", value)])
    files, _ = await shelf.restored()
    files.close()
    await commit(desk, transient=[(b"expired", value)])
    await commit(desk, transient=[(b"held", value)])
    await cut(desk, TRANSIENT, before_offset=2 * COMMIT_OFFSETS)

    files, _ = await shelf.restored()
    assert files.scan(Kind.TRANSIENT, b"\x01", b"\xff", 9) == [(b"held", value)]
    assert why_rebuilt(caplog) == ["behind the beginning of its changelog"]


@pytest.mark.parametrize("disk", ["behind", "lost", "damaged", "too old"])
async def test_a_durable_changelog_that_was_cut_is_never_taken_for_the_state(
    desk: Desk, shelf: Shelf, disk: str
) -> None:
    await commit(desk, durable=[(b"opt-out", b"1")])
    if disk == "behind":
        (await shelf.restored())[0].close()
    await commit(desk, durable=[(b"cut", b"2")])
    await commit(desk, durable=[(b"held", b"3")])
    if disk != "behind":
        (await shelf.restored())[0].close()
    begin = 2 * COMMIT_OFFSETS
    await cut(desk, DURABLE, before_offset=begin)
    if disk == "damaged":
        shelf.damage()
    if disk == "too old":
        shelf.now_ms += MAX_AGE_MS + 1

    with pytest.raises(ChangelogCut, match=f"changelog:0 begins at {begin}, so a part of"):
        await shelf.restored("another disk" if disk == "lost" else "disk")


async def test_a_copy_that_had_all_of_a_changelog_that_was_cut_goes_on_and_says_so_loudly(
    desk: Desk, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    await commit(desk, durable=[(b"opt-out", b"1")])
    files, _ = await shelf.restored()
    files.close()
    await cut(desk, DURABLE, before_offset=COMMIT_OFFSETS)
    await commit(desk, durable=[(b"later", b"2")])

    files, _ = await shelf.restored()
    assert files.get_many(Kind.DURABLE, [b"opt-out", b"later"]) == [b"1", b"2"]
    (told,) = (each for each in caplog.records if "changelog was cut" in each.message)
    assert told.levelno == logging.ERROR


@pytest.mark.parametrize("kind", BOTH)
async def test_a_store_ahead_of_its_changelog_is_kept_and_nothing_goes_on(
    desk: Desk, shelf: Shelf, kind: Kind
) -> None:
    await commit(desk, transient=[(b"k", with_expiry(0, b""))], durable=[(b"k", b"1")])
    files, _ = await shelf.restored()
    files.apply(kind, {b"of a topic that was deleted": b"1"}, 400)
    files.close()

    for _ in range(2):  # whoever is started again, too
        with pytest.raises(ChangelogCut, match=f"ends at {COMMIT_OFFSETS}, and .* up to 400"):
            await shelf.restored()


async def test_a_damaged_store_is_rebuilt_and_said_loudly(
    desk: Desk, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    await commit(desk, transient=[(b"k", with_expiry(0, b"t"))], durable=[(b"k", b"d")])
    files, _ = await shelf.restored()
    expected = rows_of(files)
    files.close()
    shelf.damage()

    files, count = await shelf.restored()
    assert rows_of(files) == expected
    assert count == 2
    assert [why[:9] for why in why_rebuilt(caplog)] == ["damaged: "] * 2


async def test_a_store_too_old_to_know_what_was_deleted_is_rebuilt(
    desk: Desk, shelf: Shelf
) -> None:
    await commit(desk, durable=[(b"k", b"1")])
    files, _ = await shelf.restored()
    await abort(desk)  # takes offsets that hold nothing, as those of a tombstone that is gone
    files.apply(Kind.DURABLE, {b"deleted since": b""}, COMMIT_OFFSETS)
    files.close()

    shelf.now_ms += MAX_AGE_MS + 1
    files, _ = await shelf.restored()
    assert files.scan(Kind.DURABLE, b"\x01", b"\xff", 9) == [(b"k", b"1")]


async def test_a_store_whose_first_restore_was_cut_short_grows_old_from_its_beginning(
    desk: Desk, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    await commit(desk, durable=[(b"k", b"1")])
    shelf.unplug()
    with pytest.raises(Unplugged):
        await shelf.restored()
    await commit(desk, durable=[(b"k", None)])

    shelf.now_ms += MAX_AGE_MS + 1
    _, count = await shelf.restored()
    assert count == 2, "all was read again"
    assert why_rebuilt(caplog)[0].startswith("too old")


async def test_a_store_from_the_future_is_as_good_as_one_too_old(
    desk: Desk, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    await commit(desk, durable=[(b"k", b"1")])
    shelf.now_ms += 10 * MAX_AGE_MS  # a clock that was wrong
    files, _ = await shelf.restored()
    files.close()

    shelf.now_ms -= 10 * MAX_AGE_MS
    _, count = await shelf.restored()
    assert count == 1
    assert why_rebuilt(caplog)[0].startswith("too old")


async def test_a_store_in_use_does_not_grow_old(desk: Desk, shelf: Shelf) -> None:
    await commit(desk, durable=[(b"k", b"1")])
    files, _ = await shelf.restored()
    shelf.now_ms += 100 * MAX_AGE_MS
    files.tidy(shelf.now_ms, horizon_ms=shelf.now_ms)
    files.close()

    _, count = await shelf.restored()
    assert count == 0


async def test_tidying_forgets_what_has_expired_and_decisions_only_past_the_horizon(
    desk: Desk, shelf: Shelf
) -> None:
    now_ms = shelf.now_ms
    rows: dict[bytes, int] = {
        b"a-never": 0,
        b"a-expired": now_ms - 1,
        b"a-later": now_ms + 1,
        DECISION + b"-old": now_ms - 501,
        DECISION + b"-asked-for-by-a-record-in-the-backlog": now_ms - 499,
    }
    transient: Any = [(key, with_expiry(expires_ms, b"")) for key, expires_ms in rows.items()]
    await commit(desk, transient=transient)
    files, _ = await shelf.restored()

    files.tidy(now_ms, horizon_ms=now_ms - 500)

    assert [key for key, _ in files.scan(Kind.TRANSIENT, b"\x01", b"\xff", 9)] == [
        b"a-later",
        b"a-never",
        DECISION + b"-asked-for-by-a-record-in-the-backlog",
    ]
