"""`Fault`: what is done to an installation while there is load; `Field`: where it is done."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from proof.checker.evidence import Blow, Storm
from proof.checker.verdict import Violation
from proof.collector import Doubt
from proof.load.plan import LoadPlan
from proof.seen import Seen
from proof.stage import HERE, LAG_MS, STOP_MS, Stage, now_ms
from proof.workers import Slot
from sandbox.faults import FaultRule

_BUSY_SECONDS = 2.0
_LOOK_SECONDS = 0.05
_MOSTLY = 0.8
"""How often a victim is looked for that has provider calls open."""

PROMISE = "F"
"""Stands where violations name their invariant: a fault did not strike, or its own promise is broken."""


class Field:
    """A stage under load, until `is_over`."""

    def __init__(self, stage: Stage, randomness: random.Random, plan: LoadPlan) -> None:
        self.stage = stage
        self.plan = plan
        """Of the load."""
        self.began_ms = now_ms()
        self._blows_before = len(stage.circumstances.blows)
        self._exits_before = len(stage.workers.exits)
        self._stops_before = len(stage.workers.stops)
        self._logs_before = {slot: stage.workers.log_size(slot) for slot in stage.slots}
        self._storms_before = len(stage.circumstances.storms)
        self._doubts_before = len(stage.collector.doubts)
        self.calls_hit = 0
        """Provider calls that met a storm."""
        self.deaths = 0
        """Of workers that killed themselves where they were to."""
        self.workers = stage.workers
        self.random = randomness
        self.is_over = asyncio.Event()
        self.notes: list[str] = []
        """What the result is to tell besides."""

    @property
    def blows(self) -> Sequence[Blow]:
        """Of this round."""
        return self.stage.circumstances.blows[self._blows_before :]

    def left_in_doubt(self) -> Sequence[Sequence[Doubt]]:
        """By each blow of this round: told after it, and before the next to the same role."""
        blows = self.blows
        left: list[list[Doubt]] = [[] for _ in blows]
        for doubt in self.stage.collector.doubts[self._doubts_before :]:
            places = [
                place
                for place, blow in enumerate(blows)
                if blow.role in (doubt.channel, "broker") and blow.at_ms <= doubt.told_ms
            ]
            if places:
                left[places[-1]].append(doubt)
        return left

    @property
    def storms(self) -> Sequence[Storm]:
        return self.stage.circumstances.storms[self._storms_before :]

    @property
    def exits(self) -> Sequence[tuple[Slot, int]]:
        """Workers that ended in this round without being asked to, and their exit codes."""
        return self.workers.exits[self._exits_before :]

    @property
    def stops(self) -> Sequence[tuple[Slot, int]]:
        """Those that were stopped cleanly in this round, and their exit codes."""
        return self.workers.stops[self._stops_before :]

    def log_of(self, slot: Slot) -> str:
        """What it has logged in this round."""
        with self.workers.log_of(slot).open("rb") as log:
            log.seek(self._logs_before[slot])
            return log.read().decode()

    @property
    def seen(self) -> Seen:
        return Seen(self.stage.evidence, self.began_ms)

    async def wait(self, least_seconds: float, most_seconds: float) -> bool:
        """A while that nobody chose; False when the load is over."""
        try:
            seconds = self.random.uniform(least_seconds, most_seconds)
            await asyncio.wait_for(self.is_over.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def victim(self, roles: Sequence[str] = ()) -> Slot | None:
        """One of these roles or of any that serves, as a rule with provider calls open."""
        found = [each for each in self.workers.slots if not roles or each.role in roles]
        calls = await asyncio.gather(
            *(asyncio.to_thread(self.workers.serving_calls, each) for each in found)
        )
        serving = {slot: count for slot, count in zip(found, calls, strict=True) if count >= 0}
        busy = [slot for slot, count in serving.items() if count]
        if busy and self.random.random() < _MOSTLY:
            return self.random.choice(busy)
        return self.random.choice(list(serving)) if serving else None

    def anyone(self) -> Slot | None:
        """One that runs, perhaps only just: it may have yet to take partitions over, and read rows."""
        running = self.workers.slots
        return self.random.choice(running) if running else None

    async def until_busy(self, slot: Slot) -> None:
        """Until it has provider calls open, or has had the time for it."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while time.monotonic() < deadline:
            if await asyncio.to_thread(self.workers.serving_calls, slot) > 0:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def kill(self, *slots: Slot) -> None:
        """kill -9, of several at once; whoever watches starts them again."""
        for slot in slots:
            await self.stage.note_blow(slot.role, "kill", slot)
        for slot in slots:
            self.workers.send(slot, signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def storm(
        self, channels: Sequence[str], effects: Sequence[str], *rules: FaultRule
    ) -> AsyncIterator[None]:
        """Providers of these channels behave so while the body runs."""
        began_ms = now_ms()
        await self.stage.note_blow("providers", "storm")
        ids = await self.stage.sky(*rules, seed=self.random.randrange(10**6))
        try:
            yield
        finally:
            self.calls_hit += await self.stage.sandbox.hits(*ids)
            await self.stage.sky()
            for channel in channels:
                self.stage.note_storm(channel, began_ms, effects)


class Fault:
    """A fault has no state: one object may strike in many rounds."""

    name: ClassVar[str]
    does: ClassVar[str]
    """In a line."""
    expects: ClassVar[str]
    """What must hold besides all the invariants; and what may be in doubt."""
    rounds: ClassVar[int] = 2
    """In a whole run."""
    least_blows: ClassVar[int] = 1
    """A round with fewer shows nothing."""
    slots: ClassVar[Mapping[str, int]] = {}
    """How many a role has, where one is not enough."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """In place of the installation's own."""
    kafka_host: ClassVar[str] = HERE
    """How Kafka is called by its clients."""
    has_cluster: ClassVar[bool] = False
    """Whether Kafka is three brokers that copy each other."""
    exits: ClassVar[Collection[int]] = ()
    """Codes that a worker may end with by itself, if its role was struck, or the broker."""
    stop_ms: ClassVar[int] = STOP_MS
    """What stops a delivery works within this."""
    lag_ms: ClassVar[int] = LAG_MS
    """What a decision goes by is known within this, for the longest of its ways."""
    rest_seconds: ClassVar[float] = 240.0
    """The longest time from the end of the load to rest, on a machine that has much else to do: a
    retry waits for half a minute, and a backlog is to be read."""

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first)

    def why_not(self) -> str:
        """Why it cannot be played on this machine; empty where it can."""
        return ""

    async def strike(self, field: Field) -> None:
        """Returns soon after `field.is_over`, with everything mended."""

    def judge(self, field: Field) -> Iterator[Violation]:
        """Once all is at rest: that the round was struck at all, and what this fault alone promises."""
        if len(field.blows) < self.least_blows:
            words = f"struck {len(field.blows)} times, and a round needs {self.least_blows}"
            yield Violation(PROMISE, words)
        kills = Counter(each.role for each in field.blows if each.what == "kill")
        struck = {each.role for each in field.blows}
        for slot, code in field.exits:
            if code == -signal.SIGKILL and kills[slot.role]:
                kills[slot.role] -= 1
            elif code not in self.exits or struck.isdisjoint({slot.role, "broker"}):
                yield Violation(PROMISE, f"{slot} ended by itself, with {code}")
        for slot, code in field.stops:
            if code != 0:
                yield Violation(PROMISE, f"{slot} was stopped, and ended with {code}")


class Calm(Fault):
    name = "calm"
    does = "nothing: load alone"
    expects = "nothing in doubt"
    least_blows = 0
    stop_ms = 1_500
    lag_ms = 20_000
