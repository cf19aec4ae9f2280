"""The smallest pipeline that needs all five rules: a deciding role, a sending role, receipts.

Where the rules themselves are tested it is better than the real stages: there is nothing
else in it that could hide a broken rule, or break by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from agents.stage import Batch, Effects, Item
from schemas.kafka import InboundRecord, Record
from schemas.outcome import Accepted, NotProcessed, Outcome
from streams.engine.items import Taken
from streams.engine.ports import Lease
from streams.engine.routes import Source, Timer, Topology
from tables.expiry import HEAD_BYTES, with_expiry
from tables.schedule import DueTable
from tables.state import Kind, Row
from tests.simulation.blows import Faults, strike_at_random
from tests.simulation.loop import pause
from tests.simulation.process import Process
from tests.simulation.provider import Provider
from tests.simulation.world import Role, World

REQUESTS, DELIVERIES, RECEIPTS = "requests", "deliveries", "settled"
_encode = msgspec.msgpack.Encoder().encode
_decode_counter = msgspec.msgpack.Decoder(int).decode
_SCHEDULE = DueTable(b"t")


class SmallProvider(Protocol):
    """Whoever takes deliveries: the simulator's, or a socket."""

    async def request(self, delivery_ids: Sequence[bytes]) -> list[Outcome]: ...


class SmallEnvelopes:
    """No record of this pipeline is refused, so only `item` is ever asked for."""

    def item(self, record: InboundRecord, *, is_forwarded: bool) -> Taken[Any]:
        return Taken(None, topic=record.topic, record=record)

    def explain(self, error: Exception) -> tuple[str, str]:
        raise AssertionError(error)

    def dead_letter(self, item: Taken[Any], **_: Any) -> Record:
        return Record("dead-letters", 0, b"")

    def homes(self, user_ids: Sequence[str]) -> Sequence[int]:
        raise AssertionError(user_ids)

    def forward(self, item: Taken[Any], partition: int) -> Record:
        raise AssertionError(item)


class SmallDecide:
    """reads requests, writes deliveries, remembers which ids it has seen and how many."""

    name = "decide"

    async def handle(self, batch: Batch[bytes]) -> AsyncIterator[Effects]:
        ids = [item.value for item in batch.items]
        seen = batch.state.get_many(Kind.TRANSIENT, [b"d" + each for each in ids])
        new = list(dict.fromkeys(i for i, row in zip(ids, seen, strict=True) if row is None))
        stored = batch.state.get(Kind.DURABLE, b"count")
        count = (_decode_counter(stored) if stored else 0) + len(new)
        yield Effects(
            rows=[
                *(Row(Kind.TRANSIENT, b"d" + each, with_expiry(0, b"1")) for each in new),
                Row(Kind.DURABLE, b"count", _encode(count)),
            ],
            records=[Record(DELIVERIES, batch.partition, each) for each in new],
            done=batch.items,
        )

    def give_up(self, batch: Batch[bytes], item: Item[bytes], cause: str) -> Effects:
        raise AssertionError(cause)


@dataclass(frozen=True, slots=True)
class SmallCall:
    """One delivery handed to the provider."""

    item: Item[bytes]
    size: int = 1


class SmallSend:
    """reads deliveries and due retries, calls the provider, remembers intents and outcomes."""

    name = "send"

    def __init__(self, provider: SmallProvider) -> None:
        self._provider = provider

    async def handle(self, batch: Batch[bytes]) -> AsyncIterator[Effects]:
        ledger = batch.state.get_many(Kind.TRANSIENT, [b"a" + item.value for item in batch.items])
        calls: list[SmallCall] = []
        settled: list[tuple[Item[bytes], str]] = []
        again: list[Item[bytes]] = []
        for item, kept in zip(batch.items, ledger, strict=True):
            row = kept[HEAD_BYTES:] if kept is not None else None
            if row is None or (row == b"retry" and item.row_key is not None):
                calls.append(SmallCall(item))
            elif row == b"intent":
                settled.append((item, "in_doubt"))
            else:
                again.append(item)
        yield Effects(
            rows=[
                *(_ledger(call.item, b"intent") for call in calls),
                *(_ledger(item, status.encode()) for item, status in settled),
            ],
            records=[_receipt(batch, item, status) for item, status in settled],
            done=[*again, *(item for item, _ in settled)],
        )
        async for finished in batch.calls(calls, self._send):
            yield _outcomes(batch, finished)

    async def _send(self, call: SmallCall) -> Sequence[Outcome]:
        return await self._provider.request([call.item.value])

    def give_up(self, batch: Batch[bytes], item: Item[bytes], cause: str) -> Effects:
        raise AssertionError(cause)


def _outcomes(batch: Batch[bytes], finished: list[tuple[SmallCall, Sequence[Outcome]]]) -> Effects:
    rows: list[Row] = []
    records: list[Record] = []
    for call, (outcome,) in finished:
        if isinstance(outcome, NotProcessed):
            rows.append(_ledger(call.item, b"retry"))
            rows.append(_SCHEDULE.put(batch.now_ms + 500, call.item.value, call.item.value))
        else:
            status = "sent" if isinstance(outcome, Accepted) else "in_doubt"
            rows.append(_ledger(call.item, status.encode()))
            records.append(_receipt(batch, call.item, status))
    done = [call.item for call, _ in finished]
    return Effects(rows=rows, records=records, done=done, can_wait=True)


def _ledger(item: Item[bytes], state: bytes) -> Row:
    return Row(Kind.TRANSIENT, b"a" + item.value, with_expiry(0, state))


def _receipt(batch: Batch[bytes], item: Item[bytes], status: str) -> Record:
    return Record(RECEIPTS, batch.partition, item.value + b" " + status.encode())


def _value(record: InboundRecord) -> bytes:
    assert record.value is not None
    return record.value


def decide_topology() -> Topology:
    source = Source(REQUESTS, SmallDecide(), _value, take=20)
    return Topology("decide", (source,), (), SmallEnvelopes())


def send_topology(provider: SmallProvider) -> Topology:
    stage = SmallSend(provider)
    source = Source(DELIVERIES, stage, _value, take=5, width=8)
    timer = Timer("schedule", stage, _SCHEDULE, bytes, take=5, width=2)
    return Topology("send", (source,), (timer,), SmallEnvelopes())


@dataclass(frozen=True, slots=True)
class SmallPlan:
    """A topology with nothing beside it."""

    topology: Topology

    def permit(self, lease: Lease) -> Lease:
        return lease

    async def start(self, die: Callable[[BaseException], None]) -> None: ...

    def fenced(self, numbers: Collection[int]) -> None: ...

    async def before_open(self) -> None: ...

    async def close(self) -> None: ...


def _roles(provider: SmallProvider) -> Sequence[Role]:
    return (
        Role("decide", 2, lambda world, clock: SmallPlan(decide_topology())),
        Role("send", 2, lambda world, clock: SmallPlan(send_topology(provider))),
    )


class SmallWorld(World):
    """The small pipeline in a simulated world, and its provider outside."""

    def __init__(self, *, seed: int, process_class: type[Process] = Process) -> None:
        self.provider = Provider()
        super().__init__(seed=seed, roles=_roles(self.provider), process_class=process_class)
        self.provider.live_in(self.loop, self.random, self.is_zombie)

    def bear(
        self,
        load: Callable[["SmallWorld"], Awaitable[None]],
        *,
        faults: Faults,
        fault_seconds: float,
        settled: Callable[["SmallWorld"], bool],
        limit_seconds: float = 4000.0,
    ) -> None:
        """The load under the faults, until all is settled; raises when that does not come."""

        async def main() -> None:
            blows = strike_at_random(self, faults, seconds=fault_seconds)
            await asyncio.gather(load(self), blows)
            while not settled(self):
                if self.loop.time() > limit_seconds:
                    raise AssertionError(f"seed {self.seed}: not settled in {limit_seconds} s")
                await pause(1.0)

        self.play(main())
