"""R1: groups are prefixes of the staging order, and nothing goes on before its commit."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from agents.stage import Effects
from schemas.kafka import Record
from streams.engine import committer
from streams.engine.committer import MAX_WAITING_BYTES, Committer, PartitionClosed
from streams.engine.effects import MAX_GROUP_BYTES, MAX_RECORD_BYTES, EffectsTooLarge
from streams.engine.overlay import Overlay
from streams.engine.ports import Committed, Transaction
from tables.state import Kind, Row
from tests.simulation.broker import Broker
from tests.simulation.disk import Files, MemoryStore


class GatedLog:
    """A log whose commits wait for the test."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.gate = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def start(self) -> None: ...

    def restored(self, ends: tuple[int, int]) -> None: ...

    async def commit(self, transaction: Transaction) -> Committed:
        self.transactions.append(transaction)
        await self.gate.acquire()
        if self.error is not None:
            raise self.error
        offset = len(self.transactions)
        return Committed((offset, offset))

    async def close(self) -> None: ...


class Bench:
    def __init__(self) -> None:
        broker = Broker(now_ms=lambda: 0, randomness=random.Random(0))
        self.files = Files()
        self.store = MemoryStore(role="r", partition=0, files=self.files, broker=broker)
        self.overlay = Overlay(0, self.store)
        self.log = GatedLog()
        self.deaths: list[BaseException] = []
        self.committer = Committer(
            log=self.log,
            store=self.store,
            overlay=self.overlay,
            positions={},
            on_committed=lambda transaction: None,
            die=self.deaths.append,
        )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.committer.kill()


def row(key: bytes, value: bytes | None) -> Effects:
    return Effects(rows=[Row(Kind.DURABLE, key, value)])


async def test_yields_during_a_transaction_form_the_next_in_their_order(bench: Bench) -> None:
    first = bench.committer.stage(row(b"a", b"1"))
    await asyncio.sleep(0)
    later = [
        bench.committer.stage(Effects(records=[Record("t", 0, b"%d" % number)]))
        for number in range(3)
    ]
    bench.log.gate.release()
    await first
    bench.log.gate.release()
    await asyncio.gather(*later)

    assert len(bench.log.transactions) == 2
    assert [record.value for record in bench.log.transactions[1].records] == [b"0", b"1", b"2"]


async def test_rows_are_applied_only_after_the_commit(bench: Bench) -> None:
    staged = bench.committer.stage(row(b"a", b"1"))
    await asyncio.sleep(0)

    assert bench.store.get(Kind.DURABLE, b"a") is None
    assert bench.overlay.get(Kind.DURABLE, b"a") == b"1"

    bench.log.gate.release()
    await staged
    assert bench.store.get(Kind.DURABLE, b"a") == b"1"


async def test_a_key_written_twice_in_a_group_is_committed_once_with_its_last_value(
    bench: Bench,
) -> None:
    blocker = bench.committer.stage(row(b"x", b"x"))
    await asyncio.sleep(0)
    staged = [bench.committer.stage(row(b"a", value)) for value in (b"1", None, b"3")]
    bench.log.gate.release()
    bench.log.gate.release()
    await asyncio.gather(blocker, *staged)

    assert bench.log.transactions[1].rows[Kind.DURABLE] == {b"a": b"3"}


async def test_a_group_ends_before_it_grows_past_its_bound(bench: Bench) -> None:
    half = Effects(records=[Record("t", 0, bytes(MAX_GROUP_BYTES // 2))])
    blocker = bench.committer.stage(row(b"x", b"x"))
    await asyncio.sleep(0)
    staged = [bench.committer.stage(half) for _ in range(3)]
    assert bench.committer.pending_bytes >= MAX_GROUP_BYTES
    for _ in range(4):
        bench.log.gate.release()
    await asyncio.gather(blocker, *staged)

    assert [len(each.records) for each in bench.log.transactions] == [0, 1, 1, 1]


async def test_a_record_too_large_for_kafka_is_refused_at_the_yield(bench: Bench) -> None:
    with pytest.raises(EffectsTooLarge, match="the limit is"):
        bench.committer.stage(Effects(records=[Record("t", 0, bytes(MAX_RECORD_BYTES + 1))]))

    assert not bench.log.transactions


async def test_a_failed_transaction_ends_the_process_and_nothing_goes_on(bench: Bench) -> None:
    bench.log.error = RuntimeError("fenced")
    staged = bench.committer.stage(row(b"a", b"1"))
    bench.log.gate.release()
    await asyncio.wait([staged], timeout=0.05)

    assert bench.deaths == [bench.log.error]
    assert not staged.done()
    with pytest.raises(PartitionClosed):
        bench.committer.stage(row(b"b", b"1"))


async def test_closing_commits_what_was_staged_and_refuses_the_rest(bench: Bench) -> None:
    staged = bench.committer.stage(row(b"a", b"1"))
    closing = asyncio.create_task(bench.committer.close())
    await asyncio.sleep(0)
    with pytest.raises(PartitionClosed):
        bench.committer.stage(row(b"b", b"1"))
    bench.log.gate.release()
    await closing

    assert staged.done()
    assert bench.files.rows[Kind.DURABLE] == {b"a": b"1"}


async def test_what_may_wait_travels_with_the_next_yield_that_may_not(bench: Bench) -> None:
    waiting = [bench.committer.stage(row(key, b"1"), may_wait=True) for key in (b"a", b"b")]
    await asyncio.sleep(0)
    assert not bench.log.transactions

    bench.log.gate.release()
    await bench.committer.stage(row(b"c", b"1"))

    assert [list(each.rows[Kind.DURABLE]) for each in bench.log.transactions] == [
        [b"a", b"b", b"c"]
    ]
    assert all(each.done() for each in waiting)


async def test_what_may_wait_still_waits_after_a_transaction_that_was_under_way(
    bench: Bench,
) -> None:
    first = bench.committer.stage(row(b"a", b"1"))
    await asyncio.sleep(0)
    waiting = bench.committer.stage(row(b"b", b"1"), may_wait=True)
    bench.log.gate.release()
    await first
    await asyncio.sleep(0)

    assert len(bench.log.transactions) == 1
    assert not waiting.done()


async def test_what_may_wait_is_committed_alone_when_nobody_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "WAIT_SECONDS", 0.01)
    bench.log.gate.release()

    async with asyncio.timeout(5):
        await bench.committer.stage(row(b"a", b"1"), may_wait=True)

    assert bench.files.rows[Kind.DURABLE] == {b"a": b"1"}


async def test_enough_of_what_may_wait_waits_no_longer(bench: Bench) -> None:
    large = Effects(records=[Record("t", 0, bytes(MAX_WAITING_BYTES // 2))])
    bench.committer.stage(large, may_wait=True)
    await asyncio.sleep(0)
    assert not bench.log.transactions

    bench.log.gate.release()
    await bench.committer.stage(large, may_wait=True)

    assert len(bench.log.transactions) == 1


async def test_once_hurried_nothing_waits_for_company(bench: Bench) -> None:
    waiting = bench.committer.stage(row(b"a", b"1"), may_wait=True)
    bench.log.gate.release()
    bench.committer.hurry()
    await waiting

    bench.log.gate.release()
    await bench.committer.stage(row(b"b", b"1"), may_wait=True)


async def test_closing_commits_what_waits_for_company(bench: Bench) -> None:
    waiting = bench.committer.stage(row(b"a", b"1"), may_wait=True)
    bench.log.gate.release()
    await bench.committer.close()

    assert waiting.done()
