"""`Campaign`: rounds of faults one after the other; what this commit has passed is not played again."""

import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import msgspec

from proof.faults.base import Fault
from proof.kept import Kept
from proof.mutants.base import Mutant, Scene
from proof.mutants.trial import Trial, perform, trial_of
from proof.origin import commit, is_exact
from proof.results import Result
from proof.rounds import play, unplayed
from proof.stage import Stage, new_cluster, new_kafka
from proof.workers import WorkerFailed

_NUMBERS_A_ROUND = 1_000_000
"""Intents of one round are numbered from a multiple of this on."""


def still_to_play(
    fault: str, seeds: Iterable[int], results: Iterable[Result], commit: str
) -> list[int]:
    """All that this commit has not passed: what broke is played again, and what another passed."""
    passed = {
        each.seed
        for each in results
        if each.fault == fault and each.commit == commit and each.is_clean and is_exact(commit)
    }
    return [seed for seed in seeds if seed not in passed]


class Campaign:
    """In a folder of its own: what came of it, and the evidence of rounds that broke something."""

    def __init__(self, folder: Path, *, say: Callable[[str], None], command: str = "") -> None:
        """`command`: what was typed, told with each result."""
        self.folder = folder
        self._command = command
        self.results = Kept(folder / "results.jsonl", Result)
        self.trials = Kept(folder / "trials.jsonl", Trial)
        self._say = say

    async def run(self, fault: Fault, seeds: Iterable[int]) -> None:
        """With a Kafka of its own; workers are kept from round to round while all is clean."""
        why_not = fault.why_not()
        if why_not:
            self._say(f"{fault.name}: left out, since {why_not}")
            return
        left = still_to_play(fault.name, seeds, self.results.all, commit())
        while left:
            left = await self._run(fault, left)

    async def try_mutants(self, mutants: Iterable[Mutant], *, seed: int) -> None:
        """Each in its scene; and each scene without any, which must be clean."""
        tried = {
            (each.scene, each.mutant)
            for each in self.trials.all
            if each.commit == commit() and is_exact(commit()) and each.is_as_it_must_be
        }
        wanted: dict[tuple[str, str], tuple[Scene, Mutant | None]] = {}
        for mutant in mutants:
            wanted[mutant.scene.name, ""] = (mutant.scene, None)
            wanted[mutant.scene.name, mutant.name] = (mutant.scene, mutant)
        left = [each for key, each in wanted.items() if key not in tried]
        if not left:
            return
        folder = self._new_folder("mutants")
        kafka = new_kafka(folder / "kafka")
        kafka.start()
        try:
            for place, (scene, planted) in enumerate(left):
                ours = [planted] if planted is not None else []
                stage_folder = folder / str(place)
                result = await perform(scene, ours, kafka=kafka, folder=stage_folder, seed=seed)
                trial = trial_of(scene, planted, result, command=self._command)
                self.trials.append(trial)
                self._say(trial.told())
                if trial.is_as_it_must_be:
                    shutil.rmtree(stage_folder, ignore_errors=True)
        finally:
            kafka.stop()
            shutil.rmtree(folder / "kafka", ignore_errors=True)

    async def _run(self, fault: Fault, seeds: list[int]) -> list[int]:
        """Until a round breaks something; the seeds that are left. Evidence is removed only of a run
        in which every round was clean to its end."""
        folder = self._new_folder(f"{fault.name}-{seeds[0]}")
        new = new_cluster if fault.has_cluster else new_kafka
        kafka = new(folder / "kafka", fault.kafka_host)
        stage = Stage(
            folder,
            kafka=kafka,
            slots=fault.slots,
            stop_ms=fault.stop_ms,
            lag_ms=fault.lag_ms,
            settings=fault.settings,
        )
        kafka.start()
        left = list(seeds)
        is_clean = False
        try:
            async for result in self._rounds(stage, fault, seeds):
                left.remove(result.seed)
                self._take(result)
            is_clean = result.is_clean
            return left
        finally:
            await stage.close()
            kafka.kill()  # nobody needs what it holds, and the last of a cluster stops slowly
            if is_clean:  # what is in the topics is evidence, too
                shutil.rmtree(folder, ignore_errors=True)

    async def _rounds(self, stage: Stage, fault: Fault, seeds: list[int]) -> AsyncIterator[Result]:
        """Up to the first that is broken: what was judged once is judged with each round after it."""
        try:
            await stage.open()
        except WorkerFailed as error:
            yield unplayed(fault, seeds[0], error, stage.evidence)
            return
        for place, seed in enumerate(seeds):
            result = await play(stage, fault, seed=seed, first=1 + place * _NUMBERS_A_ROUND)
            yield result
            if not result.is_clean:
                return

    def _take(self, result: Result) -> None:
        result = msgspec.structs.replace(result, command=self._command)
        self.results.append(result)
        for line in result.told():
            self._say(line)

    def _new_folder(self, name: str) -> Path:
        """No evidence is written over: what broke once may not break again."""
        folders = (self.folder / f"{name}.{number}" for number in itertools.count(1))
        return next(each for each in folders if not each.exists())
