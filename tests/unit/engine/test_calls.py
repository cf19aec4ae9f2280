"""Provider calls: bounded for the role, held without a lease, each with an outcome in the end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from schemas.outcome import Accepted, NotProcessed, Outcome, Unknown
from streams.engine.calls import BatchCalls, CallGate


class GivenLease:
    def __init__(self) -> None:
        self._good = asyncio.Event()
        self._good.set()

    def is_good(self) -> bool:
        return self._good.is_set()

    async def wait_until_good(self) -> None:
        await self._good.wait()

    def set(self, good: bool) -> None:
        (self._good.set if good else self._good.clear)()


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    size: int = 1


class Provider:
    """Answers a call when the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, asyncio.Event] = {}

    async def send(self, call: Call) -> Sequence[Outcome]:
        self.asked.append(call.name)
        await self.answers.setdefault(call.name, asyncio.Event()).wait()
        if call.name == "bug":
            raise ZeroDivisionError
        return [Accepted(provider_message_id=call.name)] * call.size

    def answer(self, *names: str) -> None:
        for name in names:
            self.answers.setdefault(name, asyncio.Event()).set()


async def settle() -> None:
    """As many turns of the loop as anything here could need."""
    for _ in range(10):
        await asyncio.sleep(0)


async def collect(calls: BatchCalls, provider: Provider, *given: Call) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    async for group in calls.run(given, provider.send):
        found.update({call.name: list(outcomes) for call, outcomes in group})
    return found


async def test_no_more_calls_are_open_than_the_role_may_have() -> None:
    gate, provider = CallGate(limit=2, lease=GivenLease()), Provider()
    batches = [
        asyncio.create_task(
            collect(BatchCalls(gate), provider, Call(f"{batch}1"), Call(f"{batch}2"))
        )
        for batch in "ab"
    ]
    await settle()
    assert (provider.asked, gate.open_calls) == (["a1", "a2"], 2)

    provider.answer("a1")
    await settle()
    assert provider.asked == ["a1", "a2", "b1"]
    provider.answer("a2", "b1", "b2")
    results = await asyncio.gather(*batches)

    assert [sorted(result) for result in results] == [["a1", "a2"], ["b1", "b2"]]
    assert gate.open_calls == 0


async def test_what_is_urgent_is_next_however_many_wait() -> None:
    gate, provider = CallGate(limit=1, lease=GivenLease()), Provider()
    campaign = asyncio.create_task(
        collect(BatchCalls(gate, urgency=3), provider, Call("c1"), Call("c2"), Call("c3"))
    )
    await settle()
    code = asyncio.create_task(collect(BatchCalls(gate, urgency=1), provider, Call("code")))
    await settle()

    provider.answer("c1")
    await settle()

    assert provider.asked == ["c1", "code"]
    provider.answer("code", "c2", "c3")
    await asyncio.gather(campaign, code)


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_a_call_that_stops_waiting_takes_nobodys_place_with_it(cancelled: int) -> None:
    gate = CallGate(limit=1, lease=GivenLease())
    assert await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await settle()

    waiting[cancelled].cancel()
    await settle()
    gate.leave()

    assert await asyncio.wait_for(waiting[1 - cancelled], 1)


async def test_a_call_cancelled_when_its_turn_has_come_passes_it_on() -> None:
    gate = CallGate(limit=1, lease=GivenLease())
    assert await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await settle()

    gate.leave()
    waiting[0].cancel()

    assert await asyncio.wait_for(waiting[1], 1)


async def test_no_call_starts_without_the_lease_and_all_go_on_with_it() -> None:
    lease = GivenLease()
    gate, provider = CallGate(limit=5, lease=lease), Provider()
    provider.answer("a", "b")
    lease.set(False)

    calling = asyncio.create_task(collect(BatchCalls(gate), provider, Call("a"), Call("b")))
    await settle()
    assert provider.asked == []
    lease.set(True)

    assert sorted(await calling) == ["a", "b"]


async def test_a_lease_lost_while_waiting_for_a_place_holds_the_call() -> None:
    lease = GivenLease()
    gate, provider = CallGate(limit=1, lease=lease), Provider()
    calling = asyncio.create_task(collect(BatchCalls(gate), provider, Call("a"), Call("b")))
    await settle()

    lease.set(False)
    provider.answer("a", "b")
    await settle()
    assert provider.asked == ["a"]

    lease.set(True)
    assert sorted(await calling) == ["a", "b"]


async def test_calls_not_started_when_draining_are_not_processed_each_of_them() -> None:
    lease = GivenLease()
    gate, provider = CallGate(limit=1, lease=lease), Provider()
    calling = asyncio.create_task(
        collect(BatchCalls(gate), provider, Call("open"), Call("waits", size=3))
    )
    await settle()

    gate.drain()
    provider.answer("open")
    outcomes = await calling

    assert isinstance(outcomes["open"][0], Accepted)
    assert outcomes["waits"] == [NotProcessed(reason="draining")] * 3
    assert provider.asked == ["open"]


async def test_a_drain_ends_the_wait_for_a_lease() -> None:
    lease = GivenLease()
    lease.set(False)
    gate = CallGate(limit=1, lease=lease)
    calling = asyncio.create_task(collect(BatchCalls(gate), Provider(), Call("a")))
    await settle()

    gate.drain()

    assert (await calling)["a"] == [NotProcessed(reason="draining")]


async def test_calls_cut_off_are_unknown_and_calls_may_start_again_after_a_take_over() -> None:
    gate, provider = CallGate(limit=1, lease=GivenLease()), Provider()
    calling = asyncio.create_task(collect(BatchCalls(gate), provider, Call("slow", size=2)))
    await settle()

    gate.drain()
    gate.cut()
    assert (await calling)["slow"] == [Unknown(reason="cut_off")] * 2

    gate.reopen()
    provider.answer("next")
    assert "next" in await collect(BatchCalls(gate), provider, Call("next"))


async def test_a_bug_is_raised_only_when_every_other_answer_was_told() -> None:
    gate, provider = CallGate(limit=5, lease=GivenLease()), Provider()
    provider.answer("bug")
    told: list[str] = []

    async def read() -> None:
        async for group in BatchCalls(gate).run([Call("bug"), Call("good")], provider.send):
            told.extend(call.name for call, _ in group)

    reading = asyncio.create_task(read())
    await settle()
    assert not reading.done()
    provider.answer("good")

    with pytest.raises(ZeroDivisionError):
        await reading
    assert told == ["good"]
    assert gate.open_calls == 0


async def test_ending_a_batch_waits_for_calls_that_nobody_reads_any_more() -> None:
    gate, provider = CallGate(limit=5, lease=GivenLease()), Provider()
    calls = BatchCalls(gate)
    provider.answer("first")
    groups = calls.run([Call("first"), Call("late")], provider.send)
    await anext(groups)
    assert provider.asked == ["first", "late"]

    ending = asyncio.create_task(calls.end())
    await settle()
    assert not ending.done()
    provider.answer("late")

    await ending
    assert gate.open_calls == 0


async def test_a_call_that_cancels_itself_ends_without_an_outcome_and_holds_nobody_up() -> None:
    """As where a client was closed under it: its batch finds the item not done."""

    async def send(call: Call) -> Sequence[Outcome]:
        if call.name == "cancelled":
            raise asyncio.CancelledError
        return [Accepted(provider_message_id=call.name)]

    calls = BatchCalls(CallGate(limit=2, lease=GivenLease()))
    found = []
    async with asyncio.timeout(1):
        async for group in calls.run([Call("first"), Call("cancelled")], send):
            found += [call.name for call, _ in group]
        async for group in calls.run([Call("cancelled")], send):
            found += [call.name for call, _ in group]

    assert found == ["first"]
