"""`Watch`: how far each yield of a process has come, and the moments at which it can be struck.

The stages that run are the real ones; a watch stands between them and the runner, passes on
what they yield, and knows its name.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from agents.stage import Batch, Effects, Item, Stage
from proof.named_yields import CALLING, RUNNER, Point, stages_of, yields_of
from schemas.kafka import Record
from streams.engine.items import Taken
from streams.engine.routes import Envelopes, Topology
from tests.simulation.loop import VirtualLoop


class Passage:
    """A yield on its way: its name, and the last moment that it has passed."""

    __slots__ = ("moment", "name")

    def __init__(self, name: str, moment: str) -> None:
        self.name = name
        self.moment = moment


class Watch:
    """Of one process. `is_struck` is asked at each moment of each yield; when it says yes, the
    process was killed or suspended, and stops right there."""

    def __init__(self, loop: VirtualLoop, is_struck: Callable[[str, str], bool]) -> None:
        self._loop = loop
        self._is_struck = is_struck
        self._open: dict[Passage, None] = {}
        self._staged: defaultdict[int, list[Passage]] = defaultdict(list)
        self._committing: dict[int, list[Passage]] = {}
        self.calling: Sequence[str] = ()
        """The yields before which provider calls are open."""

    def points(self, open_calls: int) -> list[Point]:
        """Every yield that is on its way, and how far it has come."""
        passages = dict(self._open)
        for some in (*self._staged.values(), *self._committing.values()):
            passages |= dict.fromkeys(some)
        points = [Point(each.name, each.moment) for each in passages]
        if open_calls:
            points += [Point(name, CALLING) for name in self.calling]
        return points

    def over(self, topology: Topology) -> Topology:
        """The same flow under watch."""
        stages: dict[int, Stage[Any]] = {}

        def watched(stage: Stage[Any]) -> Stage[Any]:
            return stages.setdefault(id(stage), _WatchedStage(stage, self))

        self.calling = _calling(tuple(dict.fromkeys(map(type, stages_of(topology)))))
        return replace(
            topology,
            sources=tuple(replace(s, stage=watched(s.stage)) for s in topology.sources),
            timers=tuple(replace(t, stage=watched(t.stage)) for t in topology.timers),
            envelopes=_WatchedEnvelopes(topology.envelopes, self),
        )

    async def passing(self, passage: Passage, moment: str) -> None:
        passage.moment = moment
        if self._is_struck(passage.name, moment):
            await self._loop.halt()

    def opens(self, passage: Passage) -> None:
        self._open[passage] = None

    def closes(self, passage: Passage) -> None:
        self._open.pop(passage, None)

    def stages(self, partition: int, passage: Passage) -> None:
        passage.moment = "staged"
        self._staged[partition].append(passage)

    def begins(self, partition: int) -> None:
        """A partition is taken over: whatever was staged before is gone."""
        self._staged.pop(partition, None)

    def commits(self, partition: int) -> Sequence[Passage]:
        """What the next transaction is made of, until `has_committed`."""
        passages = self._committing[partition] = self._staged.pop(partition, [])
        return passages

    def has_committed(self, partition: int) -> None:
        del self._committing[partition]

    def stages_itself(self, partition: int) -> None:
        """The runner writes a record of its own, which it stages at once."""
        staged = self._staged[partition]
        if not staged or staged[-1].name != RUNNER:
            self.stages(partition, Passage(RUNNER, "staged"))


class _WatchedStage:
    def __init__(self, stage: Stage[Any], watch: Watch) -> None:
        self.name = stage.name
        self._stage = stage
        self._watch = watch
        self._names = _names_by_line(type(stage))

    async def handle(self, batch: Batch[Any]) -> AsyncIterator[Effects]:
        watch = self._watch
        generator: Any = self._stage.handle(batch)
        passage = Passage("", "")
        try:
            async for effects in generator:
                passage.name = self._names[generator.ag_frame.f_lineno]
                watch.opens(passage)
                try:
                    await watch.passing(passage, "yielded")
                    watch.stages(batch.partition, passage)
                    yield effects
                    await watch.passing(passage, "applied")
                except BaseException:  # nobody asks for more
                    await generator.aclose()
                    raise
        finally:
            watch.closes(passage)

    def give_up(self, batch: Batch[Any], item: Item[Any], cause: str) -> Effects:
        return self._stage.give_up(batch, item, cause)


class _WatchedEnvelopes:
    def __init__(self, envelopes: Envelopes, watch: Watch) -> None:
        self.item = envelopes.item
        self.explain = envelopes.explain
        self.homes = envelopes.homes
        self._envelopes = envelopes
        self._watch = watch

    def dead_letter(self, item: Taken[Any], **said: Any) -> Record:
        self._watch.stages_itself(item.record.partition if item.record else item.partition)
        return self._envelopes.dead_letter(item, **said)

    def forward(self, item: Taken[Any], partition: int) -> Record:
        assert item.record is not None  # only records are forwarded
        self._watch.stages_itself(item.record.partition)
        return self._envelopes.forward(item, partition)


@cache
def _names_by_line(stage: type[Any]) -> dict[int, str]:
    """A yield's name by each line it stands on."""
    return {
        line: each.name
        for each in yields_of(stage)
        for line in range(each.first_line, each.last_line + 1)
    }


@cache
def _calling(kinds: Sequence[type[Any]]) -> Sequence[str]:
    return [each.name for kind in kinds for each in yields_of(kind) if each.ends_calls]
