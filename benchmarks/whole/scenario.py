"""What a scenario is: figures that it measures, and one run that measures each of them once."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.whole.run import Run

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number. `floor` is what it must reach, `goal` what is aimed for; None where neither is."""

    name: str
    measures: str
    unit: str
    better: Better
    floor: float | None = None
    goal: float | None = None

    def reaches(self, value: float, bound: float) -> bool:
        return value >= bound if self.better == "higher" else value <= bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    measures: str
    figures: Sequence[Figure]
    people: int = 1_000_000
    """Its bounds are of so many: with fewer, it reaches none."""
    run: Callable[[Run], Coroutine[Any, Any, None]]
    """Sets every figure by `Run.figure`."""
    is_profiled: bool = True
    """False of one that only repeats what another one profiles."""
    run_seconds: float = 180.0
    """What one run takes with a million people, about: a long one unless it says so."""
    repeats: int = 3
    """Runs that count, where `--repeats` does not say how many: all scenarios share 90 minutes."""
