"""`Campaign`: rounds of faults one after the other; what was played already is not played again."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from proof.faults.base import Fault
from proof.kept import Kept
from proof.mutants.base import Mutant, Scene
from proof.mutants.trial import Trial, perform, trial_of
from proof.results import Result
from proof.rounds import play
from proof.stage import Stage, new_kafka

_NUMBERS_A_ROUND = 1_000_000
"""Intents of one round are numbered from a multiple of this on."""


class Campaign:
    """In a folder of its own: what came of it, and the evidence of rounds that broke something."""

    def __init__(self, folder: Path, *, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.results = Kept(folder / "results.jsonl", Result)
        self.trials = Kept(folder / "trials.jsonl", Trial)
        self._say = say

    async def run(self, fault: Fault, seeds: Iterable[int]) -> None:
        """With a Kafka of its own; workers are kept from round to round while all is clean."""
        why_not = fault.why_not()
        if why_not:
            self._say(f"{fault.name}: left out, since {why_not}")
            return
        played = {each.seed for each in self.results.all if each.fault == fault.name}
        left = [seed for seed in seeds if seed not in played]
        while left:
            left = await self._run(fault, left)

    async def try_mutants(self, mutants: Iterable[Mutant], *, seed: int) -> None:
        """Each in its scene; and each scene without any, which must be clean."""
        tried = {(each.scene, each.mutant) for each in self.trials.all}
        wanted: dict[tuple[str, str], tuple[Scene, Mutant | None]] = {}
        for mutant in mutants:
            wanted[mutant.scene.name, ""] = (mutant.scene, None)
            wanted[mutant.scene.name, mutant.name] = (mutant.scene, mutant)
        left = [each for key, each in wanted.items() if key not in tried]
        if not left:
            return
        folder = self.folder / "mutants"
        shutil.rmtree(folder, ignore_errors=True)
        kafka = new_kafka(folder / "kafka")
        kafka.start()
        try:
            for place, (scene, planted) in enumerate(left):
                ours = [planted] if planted is not None else []
                stage_folder = folder / str(place)
                result = await perform(scene, ours, kafka=kafka, folder=stage_folder, seed=seed)
                trial = trial_of(scene, planted, result)
                self.trials.append(trial)
                self._say(trial.told())
                if trial.is_as_it_must_be:
                    shutil.rmtree(stage_folder, ignore_errors=True)
        finally:
            kafka.stop()
            shutil.rmtree(folder / "kafka", ignore_errors=True)

    async def _run(self, fault: Fault, seeds: list[int]) -> list[int]:
        """Until a round breaks something; the seeds that are left."""
        folder = self.folder / f"{fault.name}-{seeds[0]}"
        shutil.rmtree(folder, ignore_errors=True)
        kafka = new_kafka(folder / "kafka")
        stage = Stage(
            folder, kafka=kafka, slots=fault.slots, stop_ms=fault.stop_ms, lag_ms=fault.lag_ms
        )
        kafka.start()
        is_clean = False
        try:
            await stage.open()
            for place, seed in enumerate(seeds):
                result = await play(stage, fault, seed=seed, first=1 + place * _NUMBERS_A_ROUND)
                self.results.append(result)
                for line in result.told():
                    self._say(line)
                is_clean = result.is_clean
                if not is_clean:
                    return seeds[place + 1 :]
            return []
        finally:
            await stage.close()
            kafka.stop()
            shutil.rmtree(folder if is_clean else folder / "kafka", ignore_errors=True)
