"""Plays a story and judges how it ended."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from proof.named_yields import CALLING, Point
from streams.access import access_of
from tests.simulation.blows import Blows
from tests.simulation.checker import complaints
from tests.simulation.disk import TransactionAborted
from tests.simulation.evidence import Evidence, gather
from tests.simulation.loop import START_MS, Domain, pause
from tests.simulation.process import Process
from tests.simulation.real import FLOW, RealWorld
from tests.simulation.spans import BRISK
from tests.simulation.speaking import introductions
from tests.simulation.story import (
    ANY,
    DAY_SECONDS,
    HOUR_SECONDS,
    Blow,
    BlowKind,
    Instant,
    Passing,
    Story,
    Turn,
)
from tests.simulation.writing import BEGIN_SECONDS

Fault = Literal["killed", "wiped", "aged", "aborted", "suspended", "robbed", "drained", "cut off"]
"""Wiped, aged: killed, and its disk is gone, or an old copy. Aborted: its transaction was, of which it
died. Robbed: suspended, and its partitions were somebody else's when it woke. Drained: gave them up. Cut
off: from the broker, and not from providers."""
_CRASHES: Mapping[BlowKind, Fault] = {
    "kill": "killed", "wipe": "wiped", "age": "aged", "abort": "aborted",
}  # fmt: skip

_WRONG_SECONDS = {HOUR_SECONDS: 0.3, DAY_SECONDS: 3.0}
"""For so long a clock is wrong by that: shorter than anybody looks, and longer."""

STOP_MS = 3_900
"""What stops a delivery works within this: how old a tail may be, and a call that waits a moment."""

LONGEST_SLEEP_MS = 4_000
"""By so much what is told may be written later than it happened."""

Cell = tuple[Point, Fault]
"""How far a yield had come, and what happened to its process there."""


@dataclass(slots=True)
class Ending:
    """What came of a story."""

    complaints: list[str]
    found: Evidence | None
    """None when it did not come to an end."""
    cells: Counter[Cell]
    crash_points: int
    """Blows of which a process died, each at an await of its own; to sleep or to drain is none."""
    struck: list[tuple[int, Blow, str]]
    """When, what, and who."""
    chronicle: list[tuple[int, str]]
    """When which process began or ended, and how."""


def tell(story: Story, process_class: type[Process] = Process, *, stop_ms: int = STOP_MS) -> Ending:
    """Play it in a world of its own."""
    world = RealWorld(
        seed=story.schedule,
        slots=story.slots,
        process_class=process_class,
        spans=BRISK,
        settings=story.settings,
    )
    teller = _Teller(story, world)
    said: list[str] = []
    found: Evidence | None = None
    try:
        world.play(teller.tell())
        if world.notes.errors:
            said.append(f"a stage raised {world.notes.errors[0]!r}")
        if world.carrier.zombie_calls:
            said.append("a call by a process that had lost its partitions")
        said += _trespasses(world)
        found = gather(world)
        said += complaints(found, stop_ms=stop_ms + LONGEST_SLEEP_MS * world.is_askew)
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")
    return Ending(said, found, teller.cells, teller.crash_points, teller.struck, world.chronicle)


def _trespasses(world: RealWorld) -> Iterator[str]:
    """What a worker on a guarded cluster would not have been allowed to write."""
    for transactional_id, written in world.broker.written.items():
        role, _, _ = transactional_id.rpartition("-")
        for topic in sorted(written - access_of(role, tuple(FLOW.lanes)).writes):
            yield f"{role} writes to {topic}, which its ACLs do not let it"


class _Teller:
    def __init__(self, story: Story, world: RealWorld) -> None:
        self._story = story
        self._world = world
        self._blows = Blows(world)
        self._armed: dict[tuple[str, str], list[tuple[int, Blow]]] = {}
        self._passed: Counter[tuple[str, str]] = Counter()
        self._turns: list[tuple[int, Blow]] = []
        self._has_begun = False
        self.cells: Counter[Cell] = Counter()
        self.crash_points = 0
        self.struck: list[tuple[int, Blow, str]] = []
        for blow in story.blows:
            if isinstance(blow.when, Passing):
                key = (blow.when.name, blow.when.moment)
                self._armed.setdefault(key, []).append((blow.when.nth, blow))
            elif isinstance(blow.when, Turn):
                self._turns.append((blow.when.number, blow))
        self._turns.sort(key=lambda each: each[0], reverse=True)
        world.is_struck = self._is_struck
        world.on_giving_up = partial(self._note, "drained")
        world.carrier.on_taken = self._has_called
        world.carrier.moods = story.moods
        world.tail_delay_seconds = story.tail_delay_seconds

    async def tell(self) -> None:
        world, story = self._world, self._story
        for record in introductions(story.users, START_MS):
            world.broker.append(record)
        await world.rest()
        await self._until(0.0)
        self._begin()
        for step in story.steps:
            await self._until(step.seconds)
            for line in step.lines:
                if line.after_seconds:
                    world.loop.call_later(line.after_seconds, world.broker.append, line.record)
                else:
                    world.broker.append(line.record)
        last = max((line.after_seconds for step in story.steps for line in step.lines), default=0.0)
        await self._until(max((each.seconds for each in story.steps), default=0.0) + last)
        await world.rest(hurries=True)

    async def _until(self, seconds: float) -> None:
        await pause(max(0.0, BEGIN_SECONDS + seconds - self._world.loop.time()))

    def _begin(self) -> None:
        loop = self._world.loop
        self._has_begun = True
        self._light_fuse(0)
        for blow in self._story.blows:
            if isinstance(blow.when, Instant):
                loop.call_later(blow.when.seconds, self._strike, blow, None)
        for spell in self._story.spells:
            moods = self._world.carrier.moods_by_channel
            loop.call_later(spell.seconds, moods.__setitem__, spell.channel, spell.moods)
            loop.call_later(spell.until_seconds, moods.pop, spell.channel, None)

    def _light_fuse(self, turn: int) -> None:
        loop = self._world.loop
        if self._turns:
            number, blow = self._turns.pop()
            loop.on_fuse = partial(self._fuse_burnt, blow, number)
            loop.fuse = max(1, number - turn)

    def _fuse_burnt(self, blow: Blow, turn: int, domain: Domain) -> None:
        self._light_fuse(turn)
        self._strike(blow, self._world.process_in(domain))

    def _is_struck(self, process: Process, name: str, moment: str) -> bool:
        if not self._has_begun or process.domain.is_suspended:
            return False
        for key in ((name, moment), (ANY, moment)):
            if key in self._armed:
                self._passed[key] += 1
                for nth, blow in self._armed[key]:
                    if nth == self._passed[key] and not process.domain.is_dead:
                        self._strike(blow, process)
        return process.domain.is_dead or process.domain.is_suspended

    def _has_called(self, domain: Domain) -> None:
        process = self._world.process_in(domain)
        if process.watch is not None and not domain.is_dead:
            for name in process.watch.calling:
                self._is_struck(process, name, CALLING)

    async def _set_clock(self, blow: Blow) -> None:
        clock = self._world.clock_of(blow.role)
        clock.set(by_ms=round(blow.seconds * 1000))
        wrong_seconds = _WRONG_SECONDS.get(abs(blow.seconds))
        if wrong_seconds is not None:
            await asyncio.sleep(wrong_seconds)
            clock.set(by_ms=0)

    def _strike(self, blow: Blow, process: Process | None) -> None:
        now_ms = self._world.loop.now_ms()
        self.struck.append((now_ms, blow, process.slot if process else ""))
        if process is None:
            if blow.kind == "visit":
                self._blows.visit(blow.role, blow.seconds)
            else:
                self._world.loop.start(None, self._set_clock(blow))
            return
        match blow.kind:
            case "suspend" | "rob":
                strike = self._blows.suspend if blow.kind == "suspend" else self._blows.rob
                strike(process, blow.seconds, partial(self._note_waking, process, process.points()))
            case "cut off":
                self._note("cut off", process)
                self._blows.cut_off(process, blow.seconds)
            case "stop":
                self._note("drained", process)
                self._blows.terminate(process)
            case _:
                self.crash_points += 1
                self._note(_CRASHES[blow.kind], process)
                self._crash(blow, process)

    def _crash(self, blow: Blow, process: Process) -> None:
        match blow.kind:
            case "wipe":
                self._blows.wipe(process)
            case "age":
                self._blows.age(process, blow.share)
            case "abort":
                raise TransactionAborted
            case _:
                self._blows.kill(process)

    def _note(self, fault: Fault, process: Process) -> None:
        self.cells.update((point, fault) for point in process.points())

    def _note_waking(self, process: Process, points: Sequence[Point]) -> None:
        fault: Fault = "robbed" if process.is_robbed else "suspended"
        self.cells.update((point, fault) for point in points)
