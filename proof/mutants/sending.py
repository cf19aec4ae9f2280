"""Senders that break a promise."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

import agents.keep_inbox
import agents.pace
from agents.send import Send
from agents.settlement import Settlement
from channels.failover import Failover
from policies.stops import StopList
from proof.mutants.base import replace
from schemas import topics
from schemas.kafka import InboundRecord
from schemas.outcome import Accepted, AddressInvalid, NotProcessed, Outcome, Rejected, Unknown
from streams.stop_feed import StopFeed
from streams.tails import Tails

_LATER_SECONDS = 1.0
_DEAF_SECONDS = 15.0

Outcomes = Sequence[Outcome]
Answer = Callable[[Sequence[Any], Outcomes], Outcomes]


def acknowledge_before_sending() -> None:
    make = Send._make

    async def answer_first(self: Send, call: Any) -> Outcomes:
        async def later() -> None:
            await asyncio.sleep(_LATER_SECONDS)
            await make(self, call)

        self.__dict__.setdefault("later", []).append(asyncio.create_task(later()))
        return [Accepted()] * call.size

    replace(Send, "_make", answer_first)


def intend_nothing() -> None:
    replace(Settlement, "intend", lambda self, work, members: None)


def tell_no_doubt() -> None:
    tell = Settlement._tell

    def tell_others(
        self: Settlement, work: Any, member: int, status: Any, *more: Any, **also: Any
    ) -> None:
        if status != "in_doubt":
            tell(self, work, member, status, *more, **also)

    replace(Settlement, "_tell", tell_others)


def drop_what_is_throttled() -> None:
    _answer_instead(NotProcessed, Accepted())


def ask_again_before_retry_after() -> None:
    _take_refusals_for(retry_after_seconds=0.0)


def count_what_is_throttled() -> None:
    _take_refusals_for(consumes_attempt=True)


def retry_what_may_have_been_sent() -> None:
    _answer_instead(Unknown, NotProcessed())


def send_the_whole_batch_again() -> None:
    """For one that the provider refused."""

    def again(batch: Sequence[Any], outcomes: Outcomes) -> Outcomes:
        is_spoilt = any(isinstance(each, AddressInvalid | Rejected) for each in outcomes)
        return [NotProcessed()] * len(batch) if is_spoilt else outcomes

    _answer(again)


def mix_up_addresses() -> None:
    send = Failover.send

    async def send_mixed(self: Failover, batch: Sequence[Any]) -> Outcomes:
        addresses = [each.address for each in batch]
        rotated = [*addresses[1:], addresses[0]]
        return await send(
            self,
            [
                msgspec.structs.replace(each, address=address)
                for each, address in zip(batch, rotated, strict=True)
            ],
        )

    replace(Failover, "send", send_mixed)


def limit_each_process() -> None:
    """By the whole limit, whatever share of the partitions it has."""
    replace(agents.pace, "share", lambda limit, *, assigned, partitions: limit)


def keep_no_inbox() -> None:
    """What is told to be shown is thrown away."""
    replace(agents.keep_inbox, "_rows", lambda state, arrivals: [])


def hear_no_pause() -> None:
    _hear_nothing_on(topics.CONTROLS)


def hear_no_cancellation() -> None:
    _hear_nothing_on(topics.NOTIFICATIONS_CANCELLED)


def send_before_the_tails_are_read() -> None:
    """As if whoever starts knew everything; what was said before is heard of late."""
    hear = StopFeed.__call__
    deaf_until = time.monotonic() + _DEAF_SECONDS

    def hear_later(self: StopFeed, record: InboundRecord) -> None:
        if time.monotonic() > deaf_until:
            hear(self, record)

    replace(StopFeed, "__call__", hear_later)
    replace(Tails, "is_fresh", lambda self: True)


def ask_no_stop() -> None:
    """The stops are heard of and not asked."""
    replace(StopList, "_stop", lambda self, *about: None)


def _hear_nothing_on(topic: str) -> None:
    hear = StopFeed.__call__

    def hear_others(self: StopFeed, record: InboundRecord) -> None:
        if record.topic != topic:
            hear(self, record)

    replace(StopFeed, "__call__", hear_others)


def _take_refusals_for(**other: Any) -> None:
    def changed(batch: Sequence[Any], outcomes: Outcomes) -> Outcomes:
        return [
            msgspec.structs.replace(each, **other) if isinstance(each, NotProcessed) else each
            for each in outcomes
        ]

    _answer(changed)


def _answer_instead(kind: type[Any], instead: Outcome) -> None:
    def exchanged(batch: Sequence[Any], outcomes: Outcomes) -> Outcomes:
        return [instead if isinstance(each, kind) else each for each in outcomes]

    _answer(exchanged)


def _answer(exchange: Answer) -> None:
    """What providers say is told differently."""
    send: Callable[[Failover, Sequence[Any]], Awaitable[Outcomes]] = Failover.send

    async def send_and_exchange(self: Failover, batch: Sequence[Any]) -> Outcomes:
        return exchange(batch, await send(self, batch))

    replace(Failover, "send", send_and_exchange)
