"""R1 on a real Kafka: what one partition commits is there whole, once, and only from its owner."""

import asyncio
import random
import struct
from itertools import groupby

import aiokafka
import pytest
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced

from streams.embedded_kafka import EmbeddedKafka
from streams.engine.ports import Committed
from streams.names import changelog
from streams.transactions import KafkaLog
from tables.packing import unpack_rows
from tables.state import Kind
from tests.integration.streams.desk import (
    MARK_OFFSETS,
    OUT,
    ROLE,
    Desk,
    GivenLease,
    transaction,
)
from tests.integration.streams.kafka_proxy import (
    ADD_PARTITIONS,
    END_TRANSACTION,
    PRODUCE,
    KafkaProxy,
)

TRANSIENT, DURABLE = (changelog(ROLE, kind) for kind in Kind)
A_DAY_SECONDS = 86_400.0


async def test_rows_and_records_of_a_transaction_are_there_together_in_order(desk: Desk) -> None:
    log = await desk.log()

    committed = await log.commit(
        transaction(
            transient=[(b"d1", b"x" * 9), (b"d2", None)],
            durable=[(b"r1", b"one"), (b"r2", None)],
            out=(b"first", b"second", b"third"),
        )
    )

    assert await desk.values(OUT) == [b"first", b"second", b"third"]
    assert [key for _, key, _ in await desk.read(DURABLE)] == [b"r1", b"r2"]
    (packed,) = await desk.values(TRANSIENT)
    assert unpack_rows(packed or b"") == [(b"d1", b"x" * 9), (b"d2", None)]
    behind = MARK_OFFSETS
    assert committed.offsets == (behind, behind + 1), "the offsets of the last row of each kind"


async def test_a_kind_without_rows_has_no_offset(desk: Desk) -> None:
    log = await desk.log()

    assert (await log.commit(transaction(out=(b"only",)))).offsets == (None, None)
    committed = await log.commit(transaction(durable=[(b"r", b"1")]))
    assert committed.offsets == (None, MARK_OFFSETS)


async def test_a_transaction_larger_than_a_batch_keeps_its_order_and_tells_its_last_offset(
    desk: Desk,
) -> None:
    log = await desk.log()
    rows = [(b"%05d" % number, b"v" * 1000) for number in range(3000)]

    committed = await log.commit(transaction(transient=[*rows], durable=[*rows]))

    read = await desk.read(DURABLE)
    assert [key for _, key, _ in read] == [key for key, _ in rows]
    packs = await desk.read(TRANSIENT)
    assert [row for _, _, pack in packs for row in unpack_rows(pack or b"")] == rows
    assert committed.offsets == (packs[-1][0], read[-1][0])


async def test_a_record_that_the_broker_refuses_takes_its_transaction_with_it(desk: Desk) -> None:
    log = await desk.log()
    too_large = random.Random(1).randbytes(2_500_000)

    with pytest.raises(MessageSizeTooLargeError):
        await log.commit(transaction(durable=[(b"r", b"1")], out=(too_large,)))

    await desk.log()  # the next owner aborts it
    assert await desk.values(DURABLE) == []


async def _wait_until_it_only_waits_for_its_lease(
    lease: GivenLease, committing: "asyncio.Task[Committed]"
) -> None:
    """In a process it ends there: the next heartbeat tells that the membership is lost."""
    await lease.is_waited_for.wait()
    committing.cancel()
    await asyncio.wait([committing])


async def test_an_earlier_owner_is_fenced_and_what_it_writes_is_never_seen(desk: Desk) -> None:
    lost = GivenLease(good=False)
    zombie = await desk.log(lease=lost)
    await zombie.commit(transaction(out=(b"before",)))
    owner = await desk.log()

    writing = zombie.commit(transaction(durable=[(b"r", b"zombie")], out=(b"zombie",)))
    await _wait_until_it_only_waits_for_its_lease(lost, asyncio.create_task(writing))

    await owner.commit(transaction(durable=[(b"r", b"owner")], out=(b"after",)))
    assert await desk.values(OUT) == [b"before", b"after"]
    assert await desk.values(DURABLE) == [b"owner"]


@pytest.mark.parametrize("moment", [ADD_PARTITIONS, PRODUCE, END_TRANSACTION])
async def test_an_owner_fenced_in_the_middle_of_a_transaction_commits_nothing_of_it(
    desk: Desk, moment: int
) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        lost = GivenLease(good=False)
        zombie = await desk.log(lease=lost, connection={"bootstrap_servers": proxy.bootstrap})
        proxy.hold(moment)
        committing = asyncio.create_task(
            zombie.commit(transaction(durable=[(b"r", b"zombie")], out=(b"zombie",)))
        )
        request = await proxy.held()
        owner = await desk.log()

        await request.answer()
        await _wait_until_it_only_waits_for_its_lease(lost, committing)

        await owner.commit(transaction(durable=[(b"r", b"owner")], out=(b"owner",)))
        assert await desk.values(OUT) == [b"owner"]
        assert await desk.values(DURABLE) == [b"owner"]
        await zombie.close()


async def test_taking_over_aborts_what_a_dead_owner_left_open(desk: Desk) -> None:
    async with desk.producer() as dead:
        await dead.begin_transaction()
        await dead.send_and_wait(desk.names.physical(OUT), b"half", partition=0)
        owner = await desk.log()  # the dead one never ends its transaction

        await owner.commit(transaction(out=(b"whole",)))

        assert await desk.values(OUT) == [b"whole"], "readers wait behind it no longer"
        await owner.close()
        await _give_up_quietly(dead)


async def _give_up_quietly(producer: aiokafka.AIOKafkaProducer) -> None:
    """A fenced producer refuses to abort, too, before it stops."""
    with pytest.raises(ProducerFenced):
        await producer.abort_transaction()


async def test_all_partitions_are_registered_in_one_request_before_anything_is_sent(
    desk: Desk,
) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        log = await desk.log(connection={"bootstrap_servers": proxy.bootstrap})
        proxy.order.clear()

        await log.commit(
            transaction(transient=[(b"d", b"x" * 9)], durable=[(b"r", b"1")], out=(b"o",))
        )
        await log.close()

    kinds = [kind for kind in proxy.order if kind in (ADD_PARTITIONS, PRODUCE, END_TRANSACTION)]
    steps = [kind for kind, _ in groupby(kinds)]  # the mark before may have yet to be ended
    assert steps == [ADD_PARTITIONS, PRODUCE, END_TRANSACTION], "one for three partitions"


async def test_a_take_over_whose_mark_was_given_up_marks_again(desk: Desk) -> None:
    """As by a broker that waited for too long."""
    async with KafkaProxy(desk.bootstrap) as proxy:
        proxy.hold(END_TRANSACTION)
        taking_over = asyncio.create_task(
            desk.log(connection={"bootstrap_servers": proxy.bootstrap})
        )
        request = await proxy.held()
        async with desk.producer():
            await request.answer()
            log = await taking_over

        committed = await log.commit(transaction(durable=[(b"r", b"1")]))
        await log.close()

    assert committed.offsets == (None, 2 * MARK_OFFSETS)
    assert [key for _, key, _ in await desk.read(DURABLE)] == [b"r"]


async def test_an_end_of_transaction_whose_answer_was_cut_off_costs_a_new_producer_and_nothing_else(
    desk: Desk,
) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        log = await desk.log(connection={"bootstrap_servers": proxy.bootstrap})
        proxy.hold(END_TRANSACTION)
        committing = asyncio.create_task(log.commit(transaction(out=(b"one",))))
        end = await proxy.held()
        epoch = _epoch(log)

        await end.release()
        end.hang_up()
        await committing
        await log.commit(transaction(out=(b"two",)))

        assert _epoch(log) > epoch
        assert await desk.values(OUT) == [b"one", b"two"]
        await log.close()


async def test_a_late_twin_of_an_end_of_transaction_cannot_commit_half_of_the_next(
    desk: Desk,
) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        connection = {"bootstrap_servers": proxy.bootstrap, "request_timeout_ms": 700}
        log = await desk.log(connection=connection)
        proxy.hold(END_TRANSACTION)

        await log.commit(transaction(out=(b"one",)))  # its end was sent twice: one is on the way
        late = await proxy.held()
        proxy.hold(END_TRANSACTION)
        second = asyncio.create_task(log.commit(transaction(out=(b"two",))))
        on_time = await proxy.held()  # the second transaction is written, and not ended
        answer = await late.release()

        assert _refused(answer), "the broker took the twin for the end of the second transaction"
        assert [value for _, _, value in await desk.read(OUT)] == [b"one"]
        await on_time.release()
        await second
        assert await desk.values(OUT) == [b"one", b"two"]
        await log.close()


@pytest.mark.parametrize("moment", [ADD_PARTITIONS, PRODUCE, END_TRANSACTION])
async def test_a_request_that_arrives_when_it_was_given_up_long_ago_changes_nothing(
    desk: Desk, moment: int
) -> None:
    async with KafkaProxy(desk.bootstrap) as proxy:
        connection = {"bootstrap_servers": proxy.bootstrap, "request_timeout_ms": 700}
        log = await desk.log(connection=connection)
        proxy.hold(moment)

        await log.commit(transaction(durable=[(b"r", b"1")], out=(b"one",)))
        late = await proxy.held()
        await late.release()
        await log.commit(transaction(durable=[(b"r", b"2")], out=(b"two",)))

        assert await desk.values(OUT) == [b"one", b"two"]
        assert await desk.values(DURABLE) == [b"1", b"2"]
        await log.close()


def _refused(answer: bytes) -> bool:
    """EndTxn v0 answers with a throttle time and an error code."""
    _, code = struct.unpack_from(">ih", answer)
    return bool(code != 0)


async def test_a_producer_is_renewed_before_the_broker_forgets_it(desk: Desk) -> None:
    now_seconds = 0.0
    log = await desk.log(monotonic_seconds=lambda: now_seconds)
    await log.commit(transaction(out=(b"one",)))
    epoch = _epoch(log)
    await log.commit(transaction(out=(b"two",)))
    assert _epoch(log) == epoch

    now_seconds += A_DAY_SECONDS + 1
    await log.commit(transaction(out=(b"three",)))

    assert _epoch(log) > epoch
    assert await desk.values(OUT) == [b"one", b"two", b"three"]


async def test_a_renewed_producer_writes_nothing_before_the_lease_is_good(desk: Desk) -> None:
    now_seconds = 0.0
    log = await desk.log(monotonic_seconds=lambda: now_seconds)
    await log.commit(transaction(out=(b"one",)))

    now_seconds += A_DAY_SECONDS + 1
    desk.lease.good = False
    committing = asyncio.create_task(log.commit(transaction(out=(b"two",))))
    await desk.lease.is_waited_for.wait()
    assert await desk.values(OUT) == [b"one"], "it may be of a stale memory"

    desk.lease.good = True
    await committing
    assert await desk.values(OUT) == [b"one", b"two"]


def _epoch(log: KafkaLog) -> int:
    assert log._producer is not None
    return log._producer.epoch


async def test_a_broker_that_stops_answering_now_and_then_loses_doubles_and_halves_nothing(
    desk: Desk, kafka: EmbeddedKafka
) -> None:
    connection = {**desk.connection, "request_timeout_ms": 400}
    log = await desk.log(connection=connection)
    committed: list[bytes] = []
    is_over = asyncio.Event()

    async def commit_all() -> None:
        while not is_over.is_set():
            name = b"%d" % len(committed)
            await log.commit(transaction(durable=[(name, name)], out=(name, name)))
            committed.append(name)

    committing = asyncio.create_task(commit_all())
    randomness = random.Random(4)
    for _ in range(5):
        await asyncio.sleep(randomness.uniform(0.05, 0.15))  # a moment nobody chose
        kafka.pause()
        try:
            await asyncio.sleep(0.8)  # for longer than a request may take: everything is sent again
        finally:
            kafka.resume()
    is_over.set()
    await committing

    assert await desk.values(OUT) == [name for each in committed for name in (each, each)]
    assert await desk.values(DURABLE) == committed


async def test_a_first_transaction_of_several_batches_waits_for_a_broker_that_is_away(
    desk: Desk, kafka: EmbeddedKafka
) -> None:
    await desk.log()  # after another owner it is initialised at once, and has heard of no topic
    log = await desk.log(connection={**desk.connection, "request_timeout_ms": 500})
    rows = [(b"%05d" % number, b"v" * 1000) for number in range(1500)]
    kafka.pause()
    try:
        committing = asyncio.create_task(log.commit(transaction(durable=[*rows])))
        done, _ = await asyncio.wait([committing], timeout=2)
        assert not done
    finally:
        kafka.resume()

    await committing
    assert [key for _, key, _ in await desk.read(DURABLE)] == [key for key, _ in rows]
