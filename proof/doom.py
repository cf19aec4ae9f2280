"""`install` makes the worker that this process becomes kill itself, with -9, at a named yield.

Production code knows nothing of it: stages, committer and log are replaced by ones that do the
same and look whether their moment has come.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, NoReturn, cast

import streams.assembly
import streams.engine.partition
import streams.worker
from agents.stage import Batch, CallT, Effects, Stage
from policies.clock import SystemClock
from proof.checker.ledgers import LEDGER
from proof.named_yields import CALLING, RUNNER, Point, points_of, stages_of, yields_of
from sandbox.ledger import read_ledger
from schemas.ids import to_text
from schemas.outcome import Outcome
from streams.assembly import plan_for
from streams.cli.clients import patience_of
from streams.config import Config, load
from streams.engine.committer import Committer, Group
from streams.engine.ports import Committed, Transaction
from streams.engine.routes import Topology
from streams.metrics import Metrics
from streams.patience import Patience
from streams.plan import RolePlan
from streams.transactions import KafkaLog
from streams.watched_clock import WatchedClock
from streams.worker import PlanFor
from tables import attempts
from tables.attempts import Stand
from tables.state import Kind, Row, State

DEATHS = "deaths.jsonl"
_LOOK_SECONDS = 0.05
"""Between two looks at the provider's ledger; whoever is to be caught so must be slower to answer."""


class Death(NamedTuple):
    """What a worker leaves behind of its last moment."""

    role: str
    point: str
    intents: int
    """Members that the ledger, or a transaction in flight, intends a call for: may be in doubt."""
    open_calls: int
    lived_seconds: float


def deaths(report: Path) -> list[Death]:
    lines = report.read_text().splitlines() if report.exists() else []
    return [Death(*json.loads(line)) for line in lines]


class Doom:
    """Knows the point, and what the worker has under way."""

    def __init__(self, role: str, point: Point, *, report: Path, ledger: Path) -> None:
        self._role = role
        self._point = point
        self._report = report
        self._ledger = ledger
        self.intents: list[Intents] = []
        self.open_calls = 0
        self._born_at = time.monotonic()

    def strike(self, moment: str, names: Collection[str]) -> None:
        """Die if this is it."""
        if moment == self._point.moment and self._point.name in names:
            self._die()

    @contextlib.contextmanager
    def calling(self, names: Collection[str], call: Any) -> Iterator[None]:
        """Die in the middle of this call, if one of the yields that may end it is meant."""
        self.open_calls += 1
        dying: asyncio.Task[None] | None = None
        if self._point.moment == CALLING and self._point.name in names:
            dying = asyncio.create_task(self._die_once_accepted(call))
        try:
            yield
        finally:
            self.open_calls -= 1
            if dying is not None:
                dying.cancel()

    async def _die_once_accepted(self, call: Any) -> None:
        ours = {to_text(message.delivery_id) for message in call.outgoing}
        before = self._accepted(ours)
        while self._accepted(ours) == before:  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(_LOOK_SECONDS)
        self._die()

    def _accepted(self, delivery_ids: Collection[str]) -> int:
        return sum(entry.delivery_id in delivery_ids for entry in read_ledger(self._ledger))

    def _die(self) -> NoReturn:
        intents = sum(each.count() for each in self.intents)
        lived_seconds = round(time.monotonic() - self._born_at, 1)
        death = Death(self._role, str(self._point), intents, self.open_calls, lived_seconds)
        with self._report.open("a") as file:
            file.write(json.dumps(death) + "\n")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


@dataclass(slots=True)
class NamedEffects(Effects):
    """Of one yield, and which."""

    name: str = ""


class DoomedStage:
    """The stage itself, its yields named."""

    def __init__(self, stage: Stage[Any], doom: Doom) -> None:
        self.name = stage.name
        self.give_up = stage.give_up
        self._stage = stage
        self._doom = doom
        self._yields = yields_of(type(stage))
        self._ending_calls = [each.name for each in self._yields if each.ends_calls]

    async def handle(self, batch: Batch[Any]) -> AsyncIterator[Effects]:
        generator: Any = self._stage.handle(DoomedBatch(batch, self._doom, self._ending_calls))
        try:
            async for effects in generator:
                name = self._name_at(generator.ag_frame.f_lineno)
                self._doom.strike("yielded", [name])
                yield NamedEffects(
                    effects.rows, effects.records, effects.done, effects.can_wait, name
                )
                self._doom.strike("applied", [name])
        finally:
            await generator.aclose()

    def _name_at(self, line: int) -> str:
        (found,) = (each for each in self._yields if each.first_line <= line <= each.last_line)
        return found.name


class DoomedBatch:
    """The batch itself, its calls watched."""

    def __init__(self, batch: Batch[Any], doom: Doom, ending_calls: Sequence[str]) -> None:
        self._batch = batch
        self._doom = doom
        self._ending_calls = ending_calls
        self.items = batch.items
        self.partition = batch.partition
        self.now_ms = batch.now_ms
        self.known_ms = batch.known_ms
        self.is_short = batch.is_short
        self.state = batch.state

    async def permit(self) -> None:
        await self._batch.permit()

    def exposing(self, recipients: int) -> AbstractAsyncContextManager[None]:
        return self._batch.exposing(recipients)

    def calls(
        self, calls: Sequence[CallT], send: Callable[[CallT], Awaitable[Sequence[Outcome]]]
    ) -> AsyncIterator[list[tuple[CallT, Sequence[Outcome]]]]:
        async def watched(call: CallT) -> Sequence[Outcome]:
            with self._doom.calling(self._ending_calls, call):
                return await send(call)

        return self._batch.calls(calls, watched)


class _Written:
    """Nothing but these rows."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._values = {row.key: row.value for row in rows}

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._values.get(key) for key in keys]


class Intents:
    """Calls that one partition's ledger intends, as far as this life has written it."""

    def __init__(self) -> None:
        self._committed: dict[bytes, int] = {}
        self._in_flight: dict[bytes, int] = {}

    def begin(self, rows: Iterable[Row]) -> None:
        """A transaction with these rows is under way: whether it will have been, nobody knows."""
        ledger = [row for row in rows if row.kind is Kind.TRANSIENT and _is_attempt(row)]
        keys = [row.key for row in ledger]
        found = attempts.get_many(cast(State, _Written(ledger)), keys)
        self._in_flight = {
            key: attempt.stands.count(Stand.INTENT)
            for key, attempt in zip(keys, found, strict=True)
            if attempt is not None
        }

    def settle(self) -> None:
        """It has been committed."""
        self._committed |= self._in_flight
        self._in_flight = {}

    def count(self) -> int:
        """At the most."""
        return sum(
            max(self._committed.get(key, 0), self._in_flight.get(key, 0))
            for key in self._committed.keys() | self._in_flight.keys()
        )


class DoomedLog(KafkaLog):
    """The log itself, its transactions watched."""

    doom: ClassVar[Doom]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.names: Collection[str] = ()
        """The yields of the transaction under way."""

    async def start(self) -> None:
        await super().start()
        producer = self._producer
        assert producer is not None
        end = producer.end

        async def watched() -> None:
            self.doom.strike("appended", self.names)
            await end()

        producer.end = watched  # type: ignore[method-assign]  # of this one alone


class DoomedCommitter(Committer):
    """The committer itself, its groups watched."""

    doom: ClassVar[Doom]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._intents = Intents()
        self._staged: defaultdict[Group, list[Effects]] = defaultdict(list)
        self._names: Collection[str] = ()
        self.doom.intents.append(self._intents)

    def stage(self, effects: Effects, *, may_wait: bool = False) -> asyncio.Future[None]:
        committed = super().stage(effects, may_wait=may_wait)
        self._staged[self._pending[-1]].append(effects)
        return committed

    async def _commit(self, group: Group) -> None:
        assert isinstance(self._log, DoomedLog)
        effects = self._staged.pop(group)
        self._names = [each.name if isinstance(each, NamedEffects) else RUNNER for each in effects]
        self._log.names = self._names
        self._intents.begin(row for each in effects for row in each.rows)
        self.doom.strike("staged", self._names)
        await super()._commit(group)

    def _apply(self, transaction: Transaction, committed: Committed) -> None:
        self._intents.settle()
        self.doom.strike("committed", self._names)
        super()._apply(transaction, committed)


def doomed(topology: Topology, doom: Doom) -> Topology:
    """The same flow, through stages that may die."""
    stages = {id(stage): DoomedStage(stage, doom) for stage in stages_of(topology)}
    return replace(
        topology,
        sources=tuple(replace(each, stage=stages[id(each.stage)]) for each in topology.sources),
        timers=tuple(replace(each, stage=stages[id(each.stage)]) for each in topology.timers),
    )


def install(role: str, point: Point, *, report: Path, ledger: Path) -> None:
    """To be called before the worker of the role runs in this process. Where deaths are told, and
    where the providers write down what they have accepted."""
    doom = Doom(role, point, report=report, ledger=ledger)

    def doomed_plan_for(config: Config, *, role: str, patience: Patience) -> PlanFor:
        make = plan_for(config, role=role, patience=patience)

        def make_doomed(metrics: Metrics, clock: WatchedClock) -> RolePlan:
            plan = make(metrics, clock)
            assert isinstance(plan, RolePlan)
            plan.topology = doomed(plan.topology, doom)
            return plan

        return make_doomed

    DoomedLog.doom = DoomedCommitter.doom = doom
    _replace(streams.assembly, "plan_for", doomed_plan_for)
    _replace(streams.worker, "KafkaLog", DoomedLog)
    _replace(streams.engine.partition, "Committer", DoomedCommitter)


def install_next(role: str, *, seed: int, folder: Path) -> None:
    """Likewise, at the point that the fewest lives of the role had so far; another seed begins with
    others. `folder` is that of a stage."""
    points = [str(each) for each in points_for(role, load(Path(os.environ["POSTRIDER_CONFIG"])))]
    random.Random(seed).shuffle(points)
    had = Counter(lives_of(role, folder))
    point = min(points, key=had.__getitem__)
    with _lives(role, folder).open("a") as file:
        file.write(f"{point}\n")
    name, _, moment = point.partition(":")
    install(role, Point(name, moment), report=folder / DEATHS, ledger=folder / "evidence" / LEDGER)


def lives_of(role: str, folder: Path) -> list[str]:
    """The points that lives of it had, in order."""
    lives = _lives(role, folder)
    return lives.read_text().splitlines() if lives.exists() else []


def _lives(role: str, folder: Path) -> Path:
    return folder / f"lives-{role}"


def points_for(role: str, config: Config) -> list[Point]:
    """Every moment of every named yield."""
    make = plan_for(config, role=role, patience=patience_of(config))
    return points_of(make(Metrics(role=role, slot=0), WatchedClock(SystemClock())).topology)


def _replace(module: ModuleType, name: str, new: object) -> None:
    assert hasattr(module, name), f"{module.__name__} has no {name} any more"
    setattr(module, name, new)


def _is_attempt(row: Row) -> bool:
    return row.key.startswith(attempts.PREFIX)
