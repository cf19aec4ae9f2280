"""`Metered`: a sender whose calls and their outcomes are counted."""

from collections.abc import Sequence

from channels.base import Outgoing, Sender
from policies.clock import Clock
from schemas.delivery import Channel
from schemas.outcome import NotProcessed, Outcome, alike
from streams.metrics import Metrics


class Metered:
    """Passes everything on; measures what comes back."""

    def __init__(self, sender: Sender, *, metrics: Metrics, clock: Clock) -> None:
        self._sender = sender
        self._metrics = metrics
        self._clock = clock

    @property
    def provider(self) -> str:
        return self._sender.provider

    @property
    def channel(self) -> Channel:
        return self._sender.channel

    @property
    def max_batch(self) -> int:
        return self._sender.max_batch

    @property
    def timeout_seconds(self) -> float:
        return self._sender.timeout_seconds

    async def start(self) -> None:
        await self._sender.start()

    async def close(self) -> None:
        await self._sender.close()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        started = self._clock.elapsed_seconds()
        outcomes = await self._sender.send(batch)
        seconds = self._clock.elapsed_seconds() - started
        metrics, provider = self._metrics, self._sender.provider
        metrics.own(metrics.call_seconds, provider=provider).observe(seconds)
        is_open = True
        for each, count in alike(outcomes):
            name, outcome = each.provider or provider, type(each).__name__
            metrics.own(metrics.calls, provider=name, outcome=outcome).inc(count)
            is_open &= isinstance(each, NotProcessed) and each.reason == "breaker_open"
        metrics.own(metrics.breaker_open, provider=provider).set(is_open)
        return outcomes
