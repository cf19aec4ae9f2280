"""Plays many seeds on all cores, and adds up what came of them."""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context

from tests.simulation.planted import planted
from tests.simulation.telling import Cell, tell
from tests.simulation.writing import write

SEEDS_A_TASK = 50


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed whose story ended badly."""

    seed: int
    complaint: str


@dataclass(slots=True)
class Tally:
    """Of some seeds; `add` puts two together."""

    seeds: int = 0
    crash_points: int = 0
    cpu_seconds: float = 0.0
    cells: Counter[Cell] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.seeds += other.seeds
        self.crash_points += other.crash_points
        self.cpu_seconds += other.cpu_seconds
        self.cells.update(other.cells)
        self.failures += other.failures


def search(
    seeds: Sequence[int],
    *,
    bug: str = "",
    processes: int = 0,
    most_failures: int = 1,
    on_progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Until all are played or so many have failed. `bug`: one of `BUGS`, which is planted.
    `processes`: 0 for one a core."""
    total = Tally()
    tasks = (seeds[at : at + SEEDS_A_TASK] for at in range(0, len(seeds), SEEDS_A_TASK))
    count = processes or os.cpu_count() or 1
    # Not forked: whoever asks may have threads.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=spawn, initializer=_collect_no_more) as pool:
        running: set[Future[Tally]] = set()
        while True:
            wanted = 2 * count - len(running) if len(total.failures) < most_failures else 0
            running |= {pool.submit(_play, task, bug) for task in islice(tasks, wanted)}
            if not running:
                return total
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                total.add(each.result())
            on_progress(total)


def play(seeds: Sequence[int], bug: str = "") -> Tally:
    """One after the other, in this process."""
    _collect_no_more()
    try:
        return _play(seeds, bug)
    finally:
        gc.enable()
        gc.unfreeze()


def _play(seeds: Sequence[int], bug: str) -> Tally:
    """Where nothing is collected by itself: worlds are full of cycles, and live for milliseconds. When
    one is over they cost a third less than whenever the collector thinks so."""
    tally, began = Tally(), time.process_time()
    with planted(bug) as process_class:
        for seed in seeds:
            ending = tell(write(seed), process_class)
            tally.seeds += 1
            tally.crash_points += ending.crash_points
            tally.cells.update(ending.cells)
            tally.failures += [Failure(seed, each) for each in ending.complaints[:1]]
            del ending
            gc.collect(1)  # all of it, and not the caches that outlive a story
    tally.cpu_seconds = time.process_time() - began
    return tally


def _collect_no_more() -> None:
    """Unless told to, and then nothing of what was there before."""
    gc.collect()
    gc.freeze()
    gc.disable()
