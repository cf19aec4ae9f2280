"""What becomes of a batch whose stage raises: the culprit is given up, its neighbours go on."""

import asyncio
import errno
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.stage import Batch, Effects, Item
from schemas.kafka import InboundRecord, Record
from streams.engine.batch import EngineBatch
from streams.engine.calls import BatchCalls, CallGate
from streams.engine.items import Taken
from streams.engine.routes import Haste, Source
from streams.engine.running import StageRun
from streams.engine.turns import BulkTurns
from tests.doubles import MemoryState
from tests.simulation.process import Notes
from tests.simulation.small import SmallEnvelopes
from tests.unit.engine.bench import GivenLease

CULPRIT = "culprit"
Many = list[str]


class Tell:
    """reads lists of names, writes one record a name; raises at one of them."""

    name = "tell"

    async def handle(self, batch: Batch[Many]) -> AsyncIterator[Effects]:
        names = [name for item in batch.items for name in item.value]
        if CULPRIT in names:
            raise ValueError(CULPRIT)
        yield Effects(records=[_record(name) for name in names], done=batch.items)

    def give_up(self, batch: Batch[Many], item: Item[Many], cause: str) -> Effects:
        if len(item.value) > 1:
            return Effects(records=[_record("handed on")], done=[item])
        return Effects(records=[_record("owed")])


class Host:
    """A partition that commits at once."""

    def __init__(self) -> None:
        self.staged: list[Effects] = []

    def batch(self, items: list[Taken[Any]], urgency: int) -> EngineBatch:
        calls = BatchCalls(CallGate(limit=1, lease=GivenLease()))
        return EngineBatch(
            items=items, state=MemoryState(), now_ms=0, known_ms=0, calls=calls, is_short=False
        )

    def stage(self, effects: Effects, route: Any) -> asyncio.Future[None]:
        self.staged.append(effects)
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        committed.set_result(None)
        return committed


def _record(text: str) -> Record:
    return Record("told", 0, text.encode())


def _never(record: InboundRecord) -> Any:
    raise AssertionError("what is handed over here is decoded already")


def taken(*names: str) -> Taken[Many]:
    return Taken(list(names), record=InboundRecord("names", 0, 0, 0, None, None))


async def run(*items: Taken[Many]) -> tuple[list[tuple[str, bytes]], Notes]:
    """Topic and value of all records, in order."""
    host, notes = Host(), Notes()
    route = Source("names", Tell(), _never)
    stage_run = StageRun(
        route=route, partition=host, envelopes=SmallEnvelopes(), observer=notes, turns=BulkTurns()
    )

    await stage_run.run(list(items), [])

    done = [item for effects in host.staged for item in effects.done]
    assert sorted(map(id, done)) == sorted(map(id, items)), "each item is done exactly once"
    records = [record for effects in host.staged for record in effects.records]
    return [(record.topic, record.value or b"") for record in records], notes


async def test_the_neighbours_of_a_culprit_are_handled_in_order() -> None:
    records, notes = await run(taken("ann"), taken(CULPRIT), taken("bob"))

    assert records == [
        ("told", b"ann"), ("told", b"owed"), ("dead-letters", b""), ("told", b"bob")
    ]  # fmt: skip
    assert notes.dead_letters == [("tell", "stage_raised")]


async def test_an_item_that_goes_on_in_another_form_is_no_dead_letter() -> None:
    records, notes = await run(taken("ann", CULPRIT), taken("bob"))

    assert records == [("told", b"handed on"), ("told", b"bob")]
    assert notes.dead_letters == []
    assert len(notes.errors) == 1, "the bug is reported all the same"


class RunOut(Tell):
    """Needs a file where no more can be opened."""

    def __init__(self, *, only_to_give_up: bool) -> None:
        self._only_to_give_up = only_to_give_up

    async def handle(self, batch: Batch[Many]) -> AsyncIterator[Effects]:
        if self._only_to_give_up:
            raise ValueError(CULPRIT)
        raise OSError(errno.EMFILE, "Too many open files")
        yield Effects()

    def give_up(self, batch: Batch[Many], item: Item[Many], cause: str) -> Effects:
        raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize("only_to_give_up", [False, True])
async def test_what_the_machine_has_run_out_of_makes_no_culprit(only_to_give_up: bool) -> None:
    host = Host()
    stage_run = StageRun(
        route=Source("names", RunOut(only_to_give_up=only_to_give_up), _never),
        partition=host, envelopes=SmallEnvelopes(), observer=Notes(), turns=BulkTurns(),
    )  # fmt: skip

    with pytest.raises(OSError, match="Too many open files"):
        await stage_run.run([taken("ann"), taken("bob")], [])

    assert host.staged == [], "they are read again by whoever comes after this process"


class SlowHost(Host):
    """A partition whose commit is under way until it is told to end."""

    def __init__(self) -> None:
        super().__init__()
        self.has_staged = asyncio.Event()
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stage(self, effects: Effects, route: Any) -> asyncio.Future[None]:
        self.has_staged.set()
        return self.committed


@pytest.mark.parametrize("haste", ["urgent", "usual"])
async def test_bulk_work_gives_way_to_the_commits_of_urgent_routes_only(haste: Haste) -> None:
    host, turns = SlowHost(), BulkTurns()
    route = Source("names", Tell(), _never, haste=haste)
    stage_run = StageRun(
        route=route, partition=host, envelopes=SmallEnvelopes(), observer=Notes(), turns=turns
    )

    running = asyncio.create_task(stage_run.run([taken("ann")], []))
    await host.has_staged.wait()
    await asyncio.sleep(0)
    assert turns.are_short == (haste == "urgent")
    host.committed.set_result(None)
    await running
