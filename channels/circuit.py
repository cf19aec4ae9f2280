"""Stops calling a provider that is down, slow or misconfigured, and finds out when it is back."""

from collections.abc import Sequence

from channels.base import NOT_ENABLED, Outgoing, Sender
from policies.breaker import Breaker, Refused
from policies.clock import Clock
from schemas.delivery import Channel
from schemas.outcome import Misconfigured, NotProcessed, Outcome, Unknown, alike


class Circuit:
    """A sender behind a breaker: while it is open, nothing is called and nothing is lost."""

    def __init__(self, sender: Sender, *, breaker: Breaker, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock
        self.breaker = breaker

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
        leave = self.breaker.ask(self._clock.now_ms())
        if isinstance(leave, Refused):
            wait_seconds = leave.wait_ms / 1000
            refused = NotProcessed(retry_after_seconds=wait_seconds, reason="breaker_open")
            return [refused] * len(batch)
        started = self._clock.elapsed_seconds()
        outcomes = await self._sender.send(batch)
        self.breaker.record(
            self._clock.now_ms(),
            is_error=any(_is_fault(each) for each, _ in alike(outcomes)),
            latency_ms=(self._clock.elapsed_seconds() - started) * 1000,
            is_probe=leave.is_probe,
        )
        return outcomes


def _is_fault(outcome: Outcome) -> bool:
    """Whether the provider, not the message or our own haste, is to blame."""
    match outcome:
        case NotProcessed(reason="unreachable", consumes_attempt=False):
            return False
        case Unknown() | NotProcessed(reason="unreachable" | "server_error"):
            return True
        case Misconfigured():
            return outcome.reason != NOT_ENABLED
    return False
