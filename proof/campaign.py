"""`Campaign`: rounds of faults one after the other; what was played already is not played again."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from proof.faults.base import Fault
from proof.results import Result
from proof.rounds import play
from proof.stage import Stage, new_kafka

_NUMBERS_A_ROUND = 1_000_000
"""Intents of one round are numbered from a multiple of this on."""
_decode = msgspec.json.Decoder(Result).decode


class Results:
    """Results in a file, a line each: appended as they come, so an interruption loses one round."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.all: list[Result] = []
        if path.exists():
            self.all = [_decode(line) for line in path.read_bytes().splitlines()]

    def append(self, result: Result) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(result) + b"\n")
        self.all.append(result)

    def has(self, fault: Fault, seed: int) -> bool:
        return any(each.fault == fault.name and each.seed == seed for each in self.all)


class Campaign:
    """In a folder of its own: `results.jsonl`, and the evidence of rounds that broke something."""

    def __init__(self, folder: Path, *, on_result: Callable[[Result], None]) -> None:
        self.folder = folder
        self.results = Results(folder / "results.jsonl")
        self._on_result = on_result

    async def run(self, fault: Fault, seeds: Iterable[int]) -> None:
        """With a Kafka of its own; workers are kept from round to round while all is clean."""
        left = [seed for seed in seeds if not self.results.has(fault, seed)]
        while left:
            left = await self._run(fault, left)

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
                self._on_result(result)
                is_clean = result.is_clean
                if not is_clean:
                    return seeds[place + 1 :]
            return []
        finally:
            await stage.close()
            kafka.stop()
            shutil.rmtree(folder if is_clean else folder / "kafka", ignore_errors=True)
