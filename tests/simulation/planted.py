"""Bugs that a search must find: in every stage, in each rule of the engine, in what is judged.

A search that has not failed proves nothing. A bug of a stage stands between it and the runner,
and spoils what it yields.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from agents.stage import Batch, Effects, Item, Stage
from proof.mutants import base
from streams.engine.routes import Topology
from tests.simulation import mutants
from tests.simulation.misjudging import PLANTS
from tests.simulation.process import Plan, Process

Spoil = Callable[[Effects], Iterator[Effects]]


def done_before_the_rest(effects: Effects) -> Iterator[Effects]:
    """Two transactions: a crash in between leaves what was done without what follows from it."""
    yield Effects(done=effects.done)
    yield Effects(effects.rows, effects.records)


def rows_before_the_rest(effects: Effects) -> Iterator[Effects]:
    """Two transactions: a crash in between has it decided, and nobody told."""
    yield Effects(effects.rows)
    yield Effects(records=effects.records, done=effects.done)


def records_before_the_rest(effects: Effects) -> Iterator[Effects]:
    """Two transactions: a crash in between has it told, and told again."""
    yield Effects(records=effects.records)
    yield Effects(effects.rows, done=effects.done)


def nothing_remembered(effects: Effects) -> Iterator[Effects]:
    """No row is written."""
    yield Effects(records=effects.records, done=effects.done)


def nobody_told(effects: Effects) -> Iterator[Effects]:
    """No record is written."""
    yield Effects(effects.rows, done=effects.done)


def never_done(effects: Effects) -> Iterator[Effects]:
    """Whatever was read comes again."""
    yield Effects(effects.rows, effects.records)


class _Spoiled:
    """A stage with a bug."""

    def __init__(self, stage: Stage[Any], spoil: Spoil) -> None:
        self.name = stage.name
        self._stage = stage
        self._spoil = spoil

    async def handle(self, batch: Batch[Any]) -> AsyncIterator[Effects]:
        generator: Any = self._stage.handle(batch)
        async for effects in generator:
            try:
                for spoiled in self._spoil(effects):
                    yield spoiled
            except BaseException:  # nobody asks for more
                await generator.aclose()
                raise

    def give_up(self, batch: Batch[Any], item: Item[Any], cause: str) -> Effects:
        return self._stage.give_up(batch, item, cause)


def spoiled(stage_name: str, spoil: Spoil) -> type[Process]:
    """Processes in which every stage of that name has the bug."""

    def topology_of(self: Process, plan: Plan) -> Topology:
        flow = Process.topology_of(self, plan)
        made: dict[int, Stage[Any]] = {}

        def stage_of(route: Any) -> Stage[Any]:
            stage: Stage[Any] = route.stage
            if stage.name != stage_name:
                return stage
            return made.setdefault(id(stage), _Spoiled(stage, spoil))

        return replace(
            flow,
            sources=tuple(replace(each, stage=stage_of(each)) for each in flow.sources),
            timers=tuple(replace(each, stage=stage_of(each)) for each in flow.timers),
        )

    return type(f"{stage_name}_{spoil.__name__}", (Process,), {"topology_of": topology_of})


_PROCESSES: Mapping[str, type[Process]] = {
    **{
        f"{stage}:{spoil.__name__}": spoiled(stage, spoil)
        for stage, spoils in {
            "decide": (done_before_the_rest, records_before_the_rest, nothing_remembered),
            "reconsider": (rows_before_the_rest, nothing_remembered),
            "accept_broadcast": (rows_before_the_rest,),
            "start_broadcast": (done_before_the_rest,),
            "fan_out": (rows_before_the_rest, records_before_the_rest),
            "keep_recipients": (done_before_the_rest, records_before_the_rest, nobody_told),
            "keep_addresses": (done_before_the_rest, nobody_told),
            "wake": (done_before_the_rest, rows_before_the_rest, records_before_the_rest),
            "send": (done_before_the_rest, rows_before_the_rest, records_before_the_rest),
            "release": (done_before_the_rest, nothing_remembered),
            "proofread": (never_done,),
            "keep_inbox": (rows_before_the_rest, records_before_the_rest),
        }.items()
        for spoil in spoils
    },
    **{
        f"engine:{bug.__name__}": bug
        for bug in (
            mutants.RowsAppliedBeforeTheCommit,
            mutants.RowsAndRecordsOutsideATransaction,
            mutants.PositionsAheadOfTheWork,
            mutants.RecordsDoneWithTheirFirstPart,
            mutants.PartsForgottenAtTakeOver,
            mutants.NoFencingAtTakeOver,
            mutants.GivingUpWithoutADrain,
            mutants.NoLease,
            mutants.AnyClockBelieved,
        )
    },
}
BUGS = (*_PROCESSES, *PLANTS)
"""Names."""


@contextmanager
def planted(bug: str) -> Iterator[type[Process]]:
    """Processes that have the bug; "" for those that have none."""
    if bug in PLANTS:
        with base.planted(PLANTS[bug]):
            yield Process
    else:
        yield _PROCESSES[bug] if bug else Process
