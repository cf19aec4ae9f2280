"""A record whose header's name is no UTF-8: what upstream makes of it, and that we read it."""

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from streams.header_names import read_any_header_name
from tests.integration.streams.desk import OUT, Desk
from tests.integration.streams.raw_headers import LZ4, append_raw

BAD = b"\xff\xfe"


@pytest.fixture(autouse=True)
def upstream() -> Iterator[None]:
    """Each test begins as upstream has it, whoever patched it before."""
    before = fetcher.MemoryRecords
    fetcher.MemoryRecords = MemoryRecords
    yield
    fetcher.MemoryRecords = before


async def write(desk: Desk, *, compression: int = 0) -> None:
    """A batch with the bad record between two good ones, and one more batch."""
    topic = desk.names.physical(OUT)
    bad = (b"bad", [(b"ok", b"1"), (BAD, b"2"), (b"none", None)])
    async with AIOKafkaProducer(**desk.connection) as producer:
        await append_raw(
            producer, topic, 0, [(b"before", []), bad, (b"after", [])], compression=compression
        )
        await append_raw(producer, topic, 0, [(b"next batch", [])])


def consumer(desk: Desk) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        desk.names.physical(OUT),
        **desk.connection,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )


async def test_upstream_stops_there_for_ever(desk: Desk) -> None:
    await write(desk)

    async with consumer(desk) as reading:
        assert (await reading.getone()).value == b"before"
        for _ in range(2):
            with pytest.raises(UnicodeDecodeError):
                await reading.getone()
            reading.seek(desk.place(OUT), 1)


@pytest.mark.parametrize("compression", [0, LZ4])
async def test_every_record_is_read_once_and_in_order(desk: Desk, compression: int) -> None:
    read_any_header_name()
    await write(desk, compression=compression)

    async with consumer(desk) as reading:
        found = [await reading.getone() for _ in range(4)]

    assert [record.offset for record in found] == [0, 1, 2, 3]
    assert [record.value for record in found] == [b"before", b"bad", b"after", b"next batch"]
    assert found[1].headers == (("ok", b"1"), ("\\xff\\xfe", b"2"), ("none", None))


async def test_what_was_aborted_around_it_stays_unread(desk: Desk) -> None:
    read_any_header_name()
    dead = desk.producer()
    await dead.start()
    for commits in (False, True, False):
        await dead.begin_transaction()
        await dead.send_and_wait(desk.names.physical(OUT), b"%d" % commits, partition=0)
        await (dead.commit_transaction() if commits else dead.abort_transaction())
        await write(desk)
    await dead.stop()

    async with consumer(desk) as reading:
        found = [(await reading.getone()).value for _ in range(13)]

    four = [b"before", b"bad", b"after", b"next batch"]
    assert found == [*four, b"1", *four, *four]
