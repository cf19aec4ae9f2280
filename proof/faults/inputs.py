"""What comes in is not what it should be, or comes at the worst moment."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from policies.clock import SystemClock
from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan, doing
from proof.offsets import reset_offsets
from schemas.ids import partition_of
from streams.assembly import plan_for
from streams.cli.clients import patience_of
from streams.metrics import Metrics
from streams.watched_clock import WatchedClock


class _Input(Fault, ABC):
    """The load itself is the fault."""

    least_blows = 0
    least_struck: ClassVar[int] = 20

    async def strike(self, field: Field) -> None:
        await field.is_over.wait()

    @abstractmethod
    def struck(self, field: Field) -> int:
        """How much that came in was what this fault is about."""

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        struck = self.struck(field)
        field.notes.append(f"{struck} times")
        if struck < self.least_struck:
            words = f"struck {struck} times, and a round needs {self.least_struck}"
            yield Violation(PROMISE, words)


class Poison(_Input):
    name = "poison"
    does = "an eighth of the records cannot be read: no JSON, wrong types, a megabyte, deep nesting"
    expects = "each a dead letter with its cause, no partition stands still"

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, steps=doing(blunder=18))

    def struck(self, field: Field) -> int:
        return len(field.seen.rubbish())


class WrongPartitions(_Input):
    name = "wrong-partitions"
    does = "half of the records are in another partition than their user's, as other clients hash"
    expects = "forwarded once, decided with the right state"

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, misplaced_share=0.5)

    def struck(self, field: Field) -> int:
        partitions = field.stage.config.partitions
        return sum(
            each.partition != partition_of(each.said.user_id, partitions)
            for each in field.seen.requests()
        )


class NewerProducers(_Input):
    name = "newer-producers"
    does = "a third of the requests is of a later schema version, with a field that we do not know"
    expects = "read like the others"

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, newer_share=0.3)

    def struck(self, field: Field) -> int:
        return sum(bool(each.said.mood) for each in field.seen.requests())


class RepeatingProducers(_Input):
    name = "repeating-producers"
    does = "every third request is one of before, by any lane, or another under the same key"
    expects = "decided once; repeats and contradictions answered as such"

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, steps=doing(ask_again=40, contradict=20))

    def struck(self, field: Field) -> int:
        said = [each.said for each in field.seen.requests() if each.said.idempotency_key]
        return len(said) - len({(each.tenant, each.user_id, each.idempotency_key) for each in said})


class GatheringProducers(_Input):
    name = "gathering-producers"
    does = "most requests come by the dozen in one record, some misplaced, some unreadable"
    expects = "each decided once, as if it had come alone"

    def plan(self, seed: int, first: int) -> LoadPlan:
        steps = doing(ask=20, ask_many=30)
        return LoadPlan(seed=seed, first=first, steps=steps, misplaced_share=0.2)

    def struck(self, field: Field) -> int:
        asked = field.seen.requests()
        return len(asked) - len({(each.topic, each.partition, each.offset) for each in asked})


class OptOutInAFanOut(_Input):
    name = "opt-out-in-a-fan-out"
    does = "people opt out while broadcasts to them are expanded and sent"
    expects = "who opted out in time is not reached"
    stop_ms = 1_500
    least_struck = 3

    def plan(self, seed: int, first: int) -> LoadPlan:
        steps = doing(ask=20, announce=12, refuse=60, consent=30)
        return LoadPlan(seed=seed, first=first, steps=steps)

    def struck(self, field: Field) -> int:
        field.notes.append(f"{len(field.seen.broadcasts())} broadcasts")
        return sum(bool(each.broadcast_id) for each in field.seen.overtaken())


class OffsetsReset(Fault):
    name = "offsets-reset"
    does = "a role stops, its group's offsets are set back to the beginning, and it starts"
    expects = "nothing is decided or sent again, nothing in doubt"

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=30.0)

    async def strike(self, field: Field) -> None:
        config = field.stage.config
        while await field.wait(2.0, 4.0):
            slot = await field.victim()
            if slot is None:
                continue
            await field.stage.note_blow(slot.role, "stop", slot)
            await field.workers.stop(slot)
            make = plan_for(config, role=slot.role, patience=patience_of(config))
            metrics = Metrics(role=slot.role, slot=slot.number)
            sources = make(metrics, WatchedClock(SystemClock())).topology.sources
            names = config.kafka.names
            await reset_offsets(
                bootstrap=field.stage.kafka.bootstrap,
                group=names.group(slot.role),
                instance=str(slot),
                topics=[names.physical(source.topic) for source in sources],
                partitions=config.partitions,
                to=0,
            )
            field.workers.start(slot)
            await field.workers.until_ready([slot])
