"""What a broker gives up, or another owner fences, is done again as far as it does not count."""

import asyncio

import pytest
from aiokafka.client import AIOKafkaClient

from proof.tearing import Tearer
from streams.names import changelog
from streams.transactions import Fenced, KafkaLog
from tables.state import Kind
from tests.integration.streams.desk import OUT, ROLE, Desk, GivenLease, transaction
from tests.integration.streams.kafka_proxy import END_TRANSACTION, KafkaProxy

DURABLE = changelog(ROLE, Kind.DURABLE)


class _HastyLog(KafkaLog):
    timeout_ms = 500


@pytest.mark.parametrize("times", [1, 3])
async def test_a_transaction_that_takes_too_long_is_aborted_and_done_again(
    desk: Desk, times: int
) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        log = await desk.log(_HastyLog, connection={"bootstrap_servers": proxy.bootstrap})
        proxy.hold(END_TRANSACTION)
        slow = transaction(durable=[(b"r", b"1")], out=(b"slow",))
        committing = asyncio.create_task(log.commit(slow))
        for turn in range(times):
            if turn:
                await (await proxy.held()).answer()  # the end of the mark that a renewal makes
            end = await proxy.held()
            if turn + 1 < times:
                proxy.hold(END_TRANSACTION)
                proxy.hold(END_TRANSACTION)
            await desk.wait_until_nothing_is_open(OUT)  # what is held back comes too late
            await end.answer()

        committed = await committing
        assert await desk.values(OUT) == [b"slow"]
        assert await desk.read(DURABLE) == [(committed.offsets[Kind.DURABLE], b"r", b"1")]
        await log.close()


class _LessHastyLog(KafkaLog):
    """Time for a test to step in."""

    timeout_ms = 4_000


async def _commit_in(desk: Desk, topic: str) -> None:
    """Of the open transaction this place only."""
    client = AIOKafkaClient(bootstrap_servers=desk.bootstrap)
    await client.bootstrap()
    tearer, place = Tearer(client), desk.place(topic)
    (open_one,) = await tearer.open_transactions([desk.names.transactional_id(ROLE, 0)])
    begun = await tearer.begun_in(open_one)
    assert await tearer.commit_in(open_one, place, begun[place])
    await client.close()


@pytest.mark.parametrize("torn_at", [OUT, DURABLE])
async def test_what_is_missing_of_a_transaction_that_the_broker_tore_is_written_again(
    desk: Desk, torn_at: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen when one of three brokers died: a place held its commit, and then the rest was aborted."""
    async with KafkaProxy(desk.bootstrap) as proxy:
        log = await desk.log(_LessHastyLog, connection={"bootstrap_servers": proxy.bootstrap})
        await log.commit(transaction(durable=[(b"r", b"0")], out=(b"before",)))
        proxy.hold(END_TRANSACTION)
        half = transaction(durable=[(b"r", b"1")], transient=[(b"d", b"1")], out=(b"a", b"b"))
        committing = asyncio.create_task(log.commit(half))
        end = await proxy.held()
        await _commit_in(desk, torn_at)

        other = next(each for each in (OUT, DURABLE) if each != torn_at)
        await desk.wait_until_nothing_is_open(other)
        await end.answer()

        committed = await committing
        assert await desk.values(OUT) == [b"before", b"a", b"b"]
        assert await desk.values(DURABLE) == [b"0", b"1"]
        assert committed.offsets[Kind.DURABLE] == (await desk.read(DURABLE))[-1][0]
        assert "a transaction was torn" in caplog.text
        await log.commit(transaction(durable=[(b"r", b"2")]))
        await log.close()


async def test_a_transaction_that_counts_whole_though_nobody_could_say_so_is_not_written_again(
    desk: Desk,
) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        log = await desk.log(connection={"bootstrap_servers": proxy.bootstrap})
        proxy.hold(END_TRANSACTION)
        committing = asyncio.create_task(
            log.commit(transaction(durable=[(b"r", b"1")], out=(b"one",)))
        )
        end = await proxy.held()

        await end.release()
        async with desk.producer():  # who asks for its end again is fenced
            end.hang_up()
            committed = await committing

        assert await desk.values(OUT) == [b"one"]
        assert await desk.read(DURABLE) == [(committed.offsets[Kind.DURABLE], b"r", b"1")]
        await log.close()


class _LeaseOfTwo(GivenLease):
    """Whenever it is asked, somebody else has just initialised the producer."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    async def wait_until_good(self) -> None:
        await self._desk.log()


async def test_who_is_fenced_twice_in_a_row_is_not_alone_and_ends(desk: Desk) -> None:
    log = await desk.log(lease=_LeaseOfTwo(desk))
    await desk.log()

    with pytest.raises(Fenced):
        await log.commit(transaction(out=(b"of two",)))

    assert await desk.values(OUT) == []
