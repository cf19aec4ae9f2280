"""Every provider there is, outside all processes: what it took, when, and what it did not answer."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from channels.base import Outgoing
from schemas.delivery import Channel
from schemas.outcome import Accepted, AddressInvalid, NotProcessed, Outcome, Rejected, Unknown
from tests.simulation.loop import DOMAIN, Domain, VirtualLoop

DEAD = "dead"
"""Addresses that begin so reach nobody."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One message that a provider took responsibility for."""

    channel: Channel
    provider: str
    called_ms: int
    """When the request left the worker."""
    taken_ms: int
    """When the provider took it."""
    message: Outgoing


@dataclass(slots=True)
class Moods:
    """How often a carrier does what; the rest is accepted and answered."""

    throttles: float = 0.05
    refuses: float = 0.01
    """Certainly not processed, which costs an attempt."""
    rejects: float = 0.03
    loses_request: float = 0.01
    loses_reply: float = 0.03
    seconds: tuple[float, float] = (0.01, 0.06)
    """How long one way takes."""


class Carrier:
    """Takes messages of any channel; `accepted` outlives every process."""

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        randomness: random.Random,
        is_zombie: Callable[[Domain | None], bool],
    ) -> None:
        self._loop = loop
        self._random = randomness
        self._is_zombie = is_zombie
        self.moods = Moods()
        self.accepted: list[Acceptance] = []
        self.zombie_calls = 0
        self.timeout_seconds = 10.0

    async def request(
        self, channel: Channel, provider: str, messages: Sequence[Outgoing]
    ) -> list[Outcome]:
        """One provider call: one outcome a message, in order."""
        self.zombie_calls += self._is_zombie(DOMAIN.get())
        reply: asyncio.Future[list[Outcome]] = self._loop.create_future()
        called_ms = self._loop.now_ms()
        self._loop.start(None, self._serve(channel, provider, list(messages), called_ms, reply))
        done, _ = await asyncio.wait([reply], timeout=self.timeout_seconds)
        return reply.result() if done else [Unknown(reason="timeout")] * len(messages)

    async def _serve(
        self,
        channel: Channel,
        provider: str,
        messages: list[Outgoing],
        called_ms: int,
        reply: "asyncio.Future[list[Outcome]]",
    ) -> None:
        await asyncio.sleep(self._random.uniform(*self.moods.seconds))
        if self._random.random() < self.moods.loses_request:
            return
        outcomes = [self._answer(each) for each in messages]
        self.accepted += [
            Acceptance(channel, provider, called_ms, self._loop.now_ms(), message)
            for message, outcome in zip(messages, outcomes, strict=True)
            if isinstance(outcome, Accepted)
        ]
        await asyncio.sleep(self._random.uniform(*self.moods.seconds))
        if not reply.done() and self._random.random() >= self.moods.loses_reply:
            reply.set_result(outcomes)

    def _answer(self, message: Outgoing) -> Outcome:
        if message.address.startswith(DEAD):
            return AddressInvalid()
        chance, moods = self._random.random(), self.moods
        if chance < moods.throttles:
            return NotProcessed(retry_after_seconds=0.5)
        if chance < moods.throttles + moods.refuses:
            return NotProcessed(consumes_attempt=True, reason="server_error")
        if chance < moods.throttles + moods.refuses + moods.rejects:
            return Rejected()
        return Accepted(provider_message_id="m")


class CarrierSender:
    """A `Sender` for one provider of one channel."""

    def __init__(
        self, carrier: Carrier, *, channel: Channel, provider: str, max_batch: int = 1
    ) -> None:
        self._carrier = carrier
        self.channel = channel
        self.provider = provider
        self.max_batch = max_batch

    @property
    def timeout_seconds(self) -> float:
        return self._carrier.timeout_seconds

    async def start(self) -> None:
        """Nothing to open."""

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        return await self._carrier.request(self.channel, self.provider, batch)

    async def close(self) -> None:
        """Nothing to close."""
