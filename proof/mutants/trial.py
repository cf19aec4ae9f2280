"""Mutants on trial: their scene is played by workers that have them, and the checker is asked."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from proof.checker.verdict import Violation
from proof.faults.base import PROMISE
from proof.mutants.base import Mutant, Scene
from proof.mutants.catalogue import MUTANTS
from proof.results import Result
from proof.rounds import play, unplayed
from proof.stage import Stage
from proof.workers import WorkerFailed
from streams.embedded_kafka import EmbeddedKafka


class Trial(msgspec.Struct, frozen=True):
    """What came of one. A scene without a mutant is on trial, too: it must be clean."""

    scene: str
    mutant: str
    caught_by: dict[str, int]
    """Violations by invariant."""
    words: str
    """The first of them that the mutant is expected to cause, or the first of all."""
    seconds: float
    commit: str = ""
    at: str = ""
    command: str = ""
    machine: str = ""

    @property
    def is_as_it_must_be(self) -> bool:
        if not self.mutant:
            return not self.caught_by
        mutant = MUTANTS[self.mutant]
        is_alive = bool(mutant.says) or PROMISE not in self.caught_by
        is_caught = not self.caught_by.keys().isdisjoint(mutant.caught_by)
        return is_caught and is_alive and mutant.says in self.words

    def told(self) -> str:
        """A line for whoever waits for it."""
        broken = ", ".join(f"{count} {name}" for name, count in sorted(self.caught_by.items()))
        verdict = "as it must be" if self.is_as_it_must_be else "NOT AS IT MUST BE"
        return f"{self.mutant or 'no mutant'} in {self.scene}: {verdict}: {broken or 'clean'}"


async def perform(
    scene: Scene, mutants: Iterable[Mutant], *, kafka: EmbeddedKafka, folder: Path, seed: int
) -> Result:
    """A round on a stage of its own, with all of these mutants at once."""
    fault, mutants = scene.fault, list(mutants)
    stage = Stage(
        folder,
        kafka=kafka,
        slots={**fault.slots, **scene.slots},
        stop_ms=fault.stop_ms,
        lag_ms=scene.lag_ms or fault.lag_ms,
        settings={**fault.settings, **scene.settings},
    )
    await stage.set_up()
    rest_seconds = scene.rest_seconds
    try:
        for role in {role for mutant in mutants for role in mutant.roles}:
            ours = [mutant.name for mutant in mutants if role in mutant.roles]
            stage.workers.prepare(role, partial(plant, ours))
        await stage.begin()
        return await play(
            stage, fault, seed=seed, first=1, changes=scene.changes, rest_seconds=rest_seconds
        )
    except WorkerFailed as error:
        return unplayed(fault, seed, error, stage.evidence)
    finally:
        await stage.close()


def plant(names: Sequence[str]) -> None:
    """In the process of a worker, before it begins."""
    for name in names:
        MUTANTS[name].plant()


def trial_of(scene: Scene, mutant: Mutant | None, result: Result, *, command: str = "") -> Trial:
    found = Counter(each.invariant for each in result.violations)
    telling = sorted(result.violations, key=lambda each: not _is_expected(each, mutant))
    words = telling[0].words if telling else ""
    name = mutant.name if mutant else ""
    return Trial(
        scene.name, name, dict(found), words, result.seconds, result.commit, result.at, command,
        result.machine,
    )  # fmt: skip


def _is_expected(violation: Violation, mutant: Mutant | None) -> bool:
    if mutant is None:
        return False
    return violation.invariant in mutant.caught_by and mutant.says in violation.words
