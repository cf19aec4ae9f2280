"""Single requests at a steady rate, whatever becomes of them, and how long each of them took."""

import asyncio
import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.whole.lab import PARTITIONS, Lab, Producing
from benchmarks.whole.people import user_id
from sandbox.ledger import read_ledger
from schemas import ids, topics
from schemas.kafka import Record

_PATIENCE_SECONDS = 120.0
_WARM_UP_SECONDS = 12.0
_COMPILING_SECONDS = 90.0
"""A broker that runs for days is compiled as well as can be. One that may be (`LONG_LIVED`) costs as
much as one that may not for a minute and a half, then two thirds."""
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """A request that was answered: when it was meant to be sent, and how long it took to a provider."""

    intended_ms: float
    waited_ms: float
    partition: int

    @property
    def accepted_ms(self) -> float:
        return self.intended_ms + self.waited_ms


def request(number: int, key: str) -> Record:
    """A mail to one person, named by an idempotency key."""
    user = user_id(number)
    return _record([_asked(user, key)], ids.partition_of(user, PARTITIONS))


def in_batches(numbers: Iterable[int], size: int) -> Iterator[Record]:
    """The same for many, so many of a partition in one record; the rest in smaller ones."""
    waiting: list[list[dict[str, Any]]] = [[] for _ in range(PARTITIONS)]
    for number in numbers:
        user = user_id(number)
        partition = ids.partition_of(user, PARTITIONS)
        waiting[partition].append(_asked(user, f"order-{number}"))
        if len(waiting[partition]) == size:
            yield _record(waiting[partition], partition)
            waiting[partition] = []
    for partition, some in enumerate(waiting):
        if some:
            yield _record(some, partition)


def _asked(user: str, key: str) -> dict[str, Any]:
    return {
        "user_id": user,
        "type": "order_confirmed",
        "data": {"order_id": key, "total": "12 EUR"},
        "idempotency_key": key,
    }


def _record(asked: Sequence[dict[str, Any]], partition: int) -> Record:
    value = asked[0] if len(asked) == 1 else asked
    key = asked[0]["user_id"].encode()
    return Record(topics.REQUESTED["normal"], partition, json.dumps(value).encode(), key)


class OpenLoop:
    """Open: the next request is not later because the last one waits.

    Latency counts from the instant at which a request was to be sent, so a moment in which nothing
    moves counts for every request that it held up.
    """

    def __init__(self, *, people: int, rate: float) -> None:
        self._rate = rate
        self._people = _in_random_order(people)
        self._intended: dict[str, tuple[float, int]] = {}

    @property
    def asked(self) -> int:
        """Requests so far."""
        return len(self._intended)

    async def run(self, producing: Producing, seconds: float, *, rate: float | None = None) -> None:
        """At the usual rate unless another one is named."""
        began, began_ms = time.monotonic(), time.time() * 1000
        rate = rate or self._rate
        for place in range(round(seconds * rate)):
            due = place / rate
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            number, key = next(self._people), f"order-{self.asked}"
            record = request(number, key)
            notification = ids.to_text(ids.notification_id("", user_id(number), key))
            self._intended[notification] = (began_ms + due * 1000, record.partition)
            await producing.send(record)

    async def warm_up(self, producing: Producing) -> None:
        """Until a broker that has just begun answers in its usual time: for its first seconds it
        interprets what it will compile, and a request takes seconds."""
        await self.run(producing, _WARM_UP_SECONDS)

    async def until_compiled(self, producing: Producing) -> None:
        """After the warm-up: until a broker that may compile itself (`LONG_LIVED`) has done so."""
        await self.run(producing, _COMPILING_SECONDS)

    async def until_told(self, lab: Lab) -> Sequence[Told]:
        """All requests once each was accepted, in the order in which they were meant.

        Raises:
            TimeoutError: some were not, in two minutes.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while len(told := self.told(lab)) < self.asked:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(told)} of {self.asked} requests were answered")
            await asyncio.sleep(_LOOK_SECONDS)
        return told

    def told(self, lab: Lab) -> Sequence[Told]:
        """Those accepted so far, each for the first time: what was in doubt is sent again.

        The sandbox's clock is this machine's, in whole milliseconds.
        """
        found: dict[str, Told] = {}
        for entry in read_ledger(lab.sandbox.ledger_dir):
            meant = self._intended.get(entry.notification_id)
            if meant is not None:
                intended_ms, partition = meant
                waited_ms = entry.at_ms + 0.5 - intended_ms
                found.setdefault(entry.notification_id, Told(intended_ms, waited_ms, partition))
        return sorted(found.values(), key=lambda each: each.intended_ms)


def quantile(told: Sequence[Told], share: float) -> float:
    """Of the waits, in milliseconds."""
    waits = sorted(each.waited_ms for each in told)
    return waits[min(len(waits) - 1, int(share * len(waits)))]


def longest_over_time(told: Sequence[Told]) -> list[tuple[float, float]]:
    """Seconds since the first of them, and the longest wait, in milliseconds, of each tenth of one."""
    began = told[0].intended_ms
    longest: dict[int, float] = {}
    for each in told:
        tenth = int((each.intended_ms - began) / 100)
        longest[tenth] = max(each.waited_ms, longest.get(tenth, 0.0))
    return [(tenth / 10, waited_ms) for tenth, waited_ms in longest.items()]


def _in_random_order(people: int) -> Iterator[int]:
    """Everybody once, and again."""
    order = random.Random(people)
    while True:
        yield from order.sample(range(people), min(people, 1_000_000))
