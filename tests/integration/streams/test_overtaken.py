"""Who owns a partition again after another did must not go on with what it remembers."""

import asyncio

import pytest

from streams.engine.ports import Transaction
from streams.names import changelog
from streams.transactions import Overtaken
from tables.state import Kind
from tests.integration.streams.desk import ROLE, Desk, GivenLease, transaction
from tests.integration.streams.kafka_proxy import END_TRANSACTION, KafkaProxy

DURABLE = changelog(ROLE, Kind.DURABLE)


class _LeaseAfterAnother(GivenLease):
    """By the time that it is good again, somebody else has taken over and done something."""

    def __init__(self, desk: Desk, done: Transaction | None) -> None:
        super().__init__()
        self._desk = desk
        self._done = done

    async def wait_until_renewed(self) -> None:
        if self._done is not None:
            done, self._done = self._done, None
            await (await self._desk.log()).commit(done)


async def test_who_was_overtaken_ends_since_its_memory_is_stale(desk: Desk) -> None:
    other = transaction(durable=[(b"r", b"other")], out=(b"other",))
    log = await desk.log(lease=_LeaseAfterAnother(desk, other))
    await log.commit(transaction(durable=[(b"r", b"first")]))
    await desk.log()

    with pytest.raises(Overtaken, match="written by somebody else"):
        await log.commit(transaction(durable=[(b"r", b"stale")]))

    assert await desk.values(DURABLE) == [b"first", b"other"]


async def test_who_was_overtaken_before_it_renews_its_producer_ends_as_well(desk: Desk) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        log = await desk.log(connection={"bootstrap_servers": proxy.bootstrap})
        proxy.hold(END_TRANSACTION)
        committing = asyncio.create_task(log.commit(transaction(durable=[(b"r", b"first")])))
        end = await proxy.held()
        await end.release()
        end.hang_up()  # from now on nobody knows what may arrive yet
        await committing
        await (await desk.log()).commit(transaction(durable=[(b"r", b"other")]))

        with pytest.raises(Overtaken, match="written by somebody else"):
            await log.commit(transaction(durable=[(b"r", b"stale")]))

        assert await desk.values(DURABLE) == [b"first", b"other"]
        await log.close()


async def test_who_was_fenced_by_somebody_that_committed_nothing_goes_on(desk: Desk) -> None:
    log = await desk.log()
    await log.commit(transaction(durable=[(b"r", b"1")]))
    await desk.log()
    async with desk.producer("another") as other:
        await other.begin_transaction()
        await other.send_and_wait(desk.names.physical(DURABLE), b"other", b"r", partition=0)
        await other.abort_transaction()

    await log.commit(transaction(durable=[(b"r", b"2")]))

    assert await desk.values(DURABLE) == [b"1", b"2"]


async def test_who_was_fenced_by_somebody_that_wrote_nothing_of_ours_goes_on(desk: Desk) -> None:
    log = await desk.log(lease=_LeaseAfterAnother(desk, transaction(out=(b"other",))))
    await log.commit(transaction(transient=[(b"t", b"1")], durable=[(b"r", b"1")]))
    await desk.log()

    await log.commit(transaction(transient=[(b"t", b"2")], durable=[(b"r", b"2")]))

    assert await desk.values(DURABLE) == [b"1", b"2"]
