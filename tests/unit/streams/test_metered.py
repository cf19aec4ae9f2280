"""What is measured of provider calls."""

from policies.clock import ManualClock
from schemas.outcome import Accepted, NotProcessed, Unknown
from streams.metered import Metered
from streams.metrics import Metrics
from tests.unit.channels.senders import TellingSender, sms


async def test_calls_are_counted_by_provider_and_outcome() -> None:
    clock, metrics = ManualClock(), Metrics(role="sms", slot=0)
    sender = TellingSender(clock=clock)
    sender.seconds = 0.25
    sender.answers = {"b": Unknown(), "c": Accepted(provider="second")}

    await Metered(sender, metrics=metrics, clock=clock).send([sms(each) for each in "aabc"])

    assert calls(metrics) == {
        ("first", "Accepted"): 2,
        ("first", "Unknown"): 1,
        ("second", "Accepted"): 1,
    }
    labels = {"role": "sms", "slot": "0", "provider": "first"}
    read = metrics.registry.get_sample_value
    assert read("postrider_provider_call_seconds_sum", labels) == 0.25
    assert read("postrider_breaker_open", labels) == 0


async def test_breaker_is_told_open_while_it_keeps_everybody_back() -> None:
    clock, metrics = ManualClock(), Metrics(role="sms", slot=0)
    sender = TellingSender(clock=clock)
    metered = Metered(sender, metrics=metrics, clock=clock)
    labels = {"role": "sms", "slot": "0", "provider": "first"}
    told = []
    for answer in (NotProcessed(reason="breaker_open"), NotProcessed(reason="throttled")):
        sender.answer = answer
        await metered.send([sms("a"), sms("b")])
        told.append(metrics.registry.get_sample_value("postrider_breaker_open", labels))

    assert told == [1, 0]


def calls(metrics: Metrics) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["provider"], sample.labels["outcome"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "postrider_provider_calls_total"
    }
