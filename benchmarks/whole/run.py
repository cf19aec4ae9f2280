"""One run of a scenario: what it is handed, and what it notes down."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.whole.lab import Lab, opened
from benchmarks.whole.profiler import profiling
from benchmarks.whole.state import Prepared, State
from benchmarks.whole.worker import Worker
from streams.embedded_kafka import SMALL


@dataclass(slots=True)
class Stretch:
    """A part of a run during which worker, broker and harness were metered."""

    name: str
    is_pinned: bool
    """Workers had a core of their own, so the other core's business can be told."""
    began: float
    count: int = 0
    """Of notifications that it dealt with."""
    seconds: float = 0.0
    cpu: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds of `worker`, `broker` and `harness`."""

    def end(self, at: float, *, count: int) -> None:
        """`at` is on the monotonic clock: what came before has been dealt with."""
        self.seconds = at - self.began
        self.count = count

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def harness_busy(self) -> float | None:
        """Share of the core that broker and harness have; None where workers were on it, too."""
        if not self.is_pinned:
            return None
        return (self.cpu["broker"] + self.cpu["harness"]) / self.seconds

    def per_million(self, who: str = "worker") -> float:
        """CPU seconds."""
        return self.cpu[who] / self.count * 1e6


class Run:
    """`profiles` is where a profile of each stretch goes; None when it shall not be disturbed."""

    def __init__(
        self, *, people: int, is_quick: bool, prepared: Prepared, profiles: Path | None
    ) -> None:
        self.people = people
        self.is_quick = is_quick
        self.figures: dict[str, float] = {}
        self.curves: dict[str, list[tuple[float, float]]] = {}
        self.stretches: list[Stretch] = []
        self._prepared = prepared
        self._profiles = profiles

    @property
    def request_rate(self) -> float:
        """Single requests a second; few in a quick run, with which a busy machine keeps up, too."""
        return 30.0 if self.is_quick else 200.0

    def figure(self, name: str, value: float) -> None:
        self.figures[name] = value

    def curve(self, name: str, points: list[tuple[float, float]]) -> None:
        """What a plot shows beside the figures."""
        self.curves[name] = points

    @contextlib.asynccontextmanager
    async def lab(
        self,
        state: State = "known",
        *,
        people: int = 0,
        env: Mapping[str, str] | None = None,
        java_options: Sequence[str] = SMALL,
    ) -> AsyncIterator[Lab]:
        """A fresh copy of a prepared installation, running; of as many people as the run is for."""
        folder = await self._prepared.fresh(state, people or self.people)
        async with opened(folder, env=env, java_options=java_options) as lab:
            yield lab

    @contextlib.contextmanager
    def stretch(
        self, name: str, lab: Lab, *workers: Worker, is_pinned: bool = True
    ) -> Iterator[Stretch]:
        """Meter, and perhaps profile, what happens inside; `Stretch.end` must be called there."""
        profiles = {}
        if self._profiles is not None:
            profiles = {self._profiles / f"{name}-{each.name}.txt": each.pid for each in workers}
        with profiling(profiles):
            meter = lab.meter(*workers)
            stretch = Stretch(name, is_pinned, meter.began)
            yield stretch
            stretch.cpu = meter.spent().cpu
        self.stretches.append(stretch)
