"""A breaker around a sender: what counts against the provider, and what happens meanwhile."""

import pytest

from channels.circuit import Circuit
from policies.breaker import Breaker, BreakerSettings
from policies.clock import ManualClock
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
    Unknown,
)
from tests.unit.channels.senders import TellingSender, sms

UNREACHABLE = NotProcessed(consumes_attempt=True, reason="unreachable")


class Wired:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sender = TellingSender(clock=self.clock)
        breaker = Breaker(BreakerSettings(min_calls=4, probe_seconds=5))
        self.circuit = Circuit(self.sender, breaker=breaker, clock=self.clock)

    async def send(self, times: int, answer: Outcome) -> Outcome:
        self.sender.answer = answer
        for _ in range(times):
            (outcome,) = await self.circuit.send([sms("+1")])
        return outcome


@pytest.mark.parametrize(
    ("answer", "opens"),
    [
        (UNREACHABLE, True),
        (NotProcessed(reason="unreachable"), False),  # no connection to be had here
        (NotProcessed(reason="server_error"), True),
        (Unknown(reason="timeout"), True),
        (Unknown(reason="connection_lost"), True),
        (Misconfigured(), True),  # every call fails until an operator mends it
        (Misconfigured(reason="not_enabled"), False),  # a country: the others go on
        (NotProcessed(reason="throttled"), False),  # the rate is to blame
        (AddressInvalid(), False),
        (Rejected(), False),
        (Accepted(), False),
    ],
)
async def test_circuit_opens_for_what_the_provider_is_to_blame_for(
    answer: Outcome, opens: bool
) -> None:
    wired = Wired()

    await wired.send(4, answer)

    assert bool(wired.circuit.breaker.opened_by) is opens


async def test_open_circuit_calls_nothing_and_says_when_to_come_back() -> None:
    wired = Wired()
    await wired.send(4, UNREACHABLE)

    wired.clock.advance(seconds=2)
    outcomes = await wired.circuit.send([sms("+1"), sms("+2")])

    refused = NotProcessed(retry_after_seconds=3.0, reason="breaker_open")
    assert outcomes == [refused, refused]
    assert not refused.consumes_attempt
    assert len(wired.sender.calls) == 4


async def test_open_circuit_probes_with_one_call_and_closes_when_it_goes_well() -> None:
    wired = Wired()
    await wired.send(4, UNREACHABLE)

    wired.clock.advance(seconds=5)
    wired.sender.answer = Accepted()
    probe, _ = await wired.send(1, Accepted()), await wired.send(1, Accepted())

    assert probe == Accepted()
    assert len(wired.sender.calls) == 6
    assert not wired.circuit.breaker.opened_by


async def test_circuit_opens_for_a_provider_that_has_become_slow() -> None:
    wired = Wired()
    for seconds in (0.1, 3.0):
        wired.sender.seconds = seconds
        await wired.send(8, Accepted())
        wired.clock.advance(seconds=1)
    await wired.send(1, Accepted())

    assert wired.circuit.breaker.opened_by == "latency"
