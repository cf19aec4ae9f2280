"""Every provider there is, outside all processes: what it took, when, and what it did not answer."""

import asyncio
import contextvars
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from channels.base import Outgoing
from schemas.delivery import Channel
from schemas.outcome import Accepted, AddressInvalid, NotProcessed, Outcome, Rejected, Unknown
from tests.simulation.loop import DOMAIN, Domain, VirtualLoop

DEAD = "dead"
"""Addresses that begin so reach nobody."""
RETRY_AFTER_SECONDS = 2.5
"""More than any worker waits by itself for the first time."""


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
    is_beside: bool = False
    """By a process whose slot was started elsewhere, which calls for as long as its lease lasts."""


Effect = Literal["throttle", "refuse", "reject", "lose"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One message of a call that did not end in an acceptance which its caller heard of."""

    channel: Channel
    provider: str
    effect: Effect
    called_ms: int
    at_ms: int
    """When the provider refused it, or the request or the reply was lost."""
    message: Outgoing
    is_beside: bool = False
    """As of `Acceptance`."""


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


@dataclass(slots=True)
class _Call:
    channel: Channel
    provider: str
    messages: list[Outgoing]
    called_ms: int
    caller: Domain | None
    is_beside: bool
    reply: "asyncio.Future[list[Outcome]]"


def _answer_by(reply: "asyncio.Future[list[Outcome]]", outcomes: list[Outcome]) -> None:
    if not reply.done():
        reply.set_result(outcomes)


def _effect_of(outcome: Outcome) -> Effect | None:
    match outcome:
        case NotProcessed():
            return "refuse" if outcome.consumes_attempt else "throttle"
        case Rejected():
            return "reject"
    return None


def _ignore(caller: Domain) -> None: ...


class Carrier:
    """Takes messages of any channel; `accepted` outlives every process."""

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        randomness: random.Random,
        is_zombie: Callable[[Domain | None], bool],
        is_robbed: Callable[[Domain | None], bool],
        timeout_seconds: float,
    ) -> None:
        self._loop = loop
        self._random = randomness
        self._is_zombie = is_zombie
        self._is_robbed = is_robbed
        self._outside = contextvars.copy_context()
        self.moods = Moods()
        self.moods_by_channel: dict[Channel, Moods] = {}
        """Of those who are in another mood than the rest."""
        self.accepted: list[Acceptance] = []
        self.troubles: list[Trouble] = []
        """What may be blamed on providers; a dead address is its owner's."""
        self.on_taken: Callable[[Domain], None] = _ignore
        """Told who called when a call was served, before anybody hears of it."""
        self.zombie_calls = 0
        self.timeout_seconds = timeout_seconds

    def request(
        self, channel: Channel, provider: str, messages: Sequence[Outgoing]
    ) -> "asyncio.Future[list[Outcome]]":
        """One provider call: one outcome a message, in order."""
        loop, moods = self._loop, self._moods_of(channel)
        caller = DOMAIN.get()
        self.zombie_calls += self._is_zombie(caller)
        reply: asyncio.Future[list[Outcome]] = loop.create_future()
        call = _Call(
            channel, provider, list(messages), loop.now_ms(), caller, self._is_robbed(caller), reply
        )
        loop.call_later(
            self._random.uniform(*moods.seconds), self._arrive, call, context=self._outside
        )
        unknown = [Unknown(reason="timeout")] * len(messages)
        loop.call_later(self.timeout_seconds, _answer_by, reply, unknown)
        return reply

    def _arrive(self, call: "_Call") -> None:
        moods = self._moods_of(call.channel)
        if self._random.random() < moods.loses_request:
            self._lose(call)
            return
        outcomes = [self._answer(each, moods) for each in call.messages]
        self.accepted += [
            Acceptance(
                call.channel,
                call.provider,
                call.called_ms,
                self._loop.now_ms(),
                message,
                call.is_beside,
            )
            for message, outcome in zip(call.messages, outcomes, strict=True)
            if isinstance(outcome, Accepted)
        ]
        self.troubles += [
            Trouble(
                call.channel,
                call.provider,
                effect,
                call.called_ms,
                self._loop.now_ms(),
                message,
                call.is_beside,
            )
            for message, outcome in zip(call.messages, outcomes, strict=True)
            if (effect := _effect_of(outcome)) is not None
        ]
        if call.caller is not None:
            self.on_taken(call.caller)
        if self._random.random() < moods.loses_reply:
            self._lose(call)
            return
        self._loop.call_later(
            self._random.uniform(*moods.seconds), _answer_by, call.reply, outcomes,
            context=self._outside,
        )  # fmt: skip

    def _lose(self, call: "_Call") -> None:
        at_ms = self._loop.now_ms()
        self.troubles += [
            Trouble(
                call.channel, call.provider, "lose", call.called_ms, at_ms, each, call.is_beside
            )
            for each in call.messages
        ]

    def _moods_of(self, channel: Channel) -> Moods:
        return self.moods_by_channel.get(channel, self.moods)

    def _answer(self, message: Outgoing, moods: Moods) -> Outcome:
        if message.address.startswith(DEAD):
            return AddressInvalid()
        chance = self._random.random()
        if chance < moods.throttles:
            return NotProcessed(retry_after_seconds=RETRY_AFTER_SECONDS)
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
