"""The next provider is asked only for what the one before certainly did not take."""

import pytest

from channels.failover import Failover
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

OPEN = NotProcessed(reason="breaker_open")


@pytest.mark.parametrize(
    ("answer", "goes_on"),
    [
        (OPEN, True),
        (Misconfigured(), True),
        (Accepted(), False),
        (Unknown(), False),  # may have been sent: a second provider could send it again
        (NotProcessed(reason="throttled"), False),
        (NotProcessed(reason="unreachable", consumes_attempt=True), False),
        (AddressInvalid(), False),
        (Rejected(), False),
    ],
)
async def test_failover_goes_on_only_past_a_closed_door(answer: Outcome, goes_on: bool) -> None:
    first, second = TellingSender("first"), TellingSender("second")
    first.answer = answer

    outcomes = await Failover([first, second]).send([sms("+1")])

    assert outcomes == [Accepted(provider="second") if goes_on else answer]
    assert len(second.calls) == goes_on


async def test_failover_hands_on_only_the_deliveries_that_were_not_taken() -> None:
    first, second = TellingSender("first"), TellingSender("second")
    first.answers = {"+2": Misconfigured()}

    outcomes = await Failover([first, second]).send([sms("+1"), sms("+2"), sms("+3")])

    assert outcomes == [Accepted(), Accepted(provider="second"), Accepted()]
    assert [message.address for message in second.calls[0]] == ["+2"]


async def test_failover_answers_with_the_last_provider_when_none_takes_it() -> None:
    first, second = TellingSender("first"), TellingSender("second")
    first.answer, second.answer = Misconfigured(), OPEN

    outcomes = await Failover([first, second]).send([sms("+1")])

    assert outcomes == [NotProcessed(reason="breaker_open", provider="second")]


def test_failover_has_the_narrowest_batch_and_the_time_of_all() -> None:
    first, second = TellingSender("first"), TellingSender("second")
    second.max_batch = 3

    failover = Failover([first, second])

    assert (failover.provider, failover.max_batch, failover.timeout_seconds) == ("first", 3, 4.0)


def test_failover_refuses_providers_of_different_channels() -> None:
    second = TellingSender("second")
    second.channel = "push"

    with pytest.raises(ValueError, match="one channel"):
        Failover([TellingSender(), second])
