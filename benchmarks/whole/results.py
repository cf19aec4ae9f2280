"""Results: the runs of a scenario, kept one by one, and what is said of them together."""

import re
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.whole.run import Run, Stretch
from benchmarks.whole.scenario import Figure

HARNESS_BOUND = 0.85
"""A harness core that is busier than this may be what limits a rate; then CPU seconds count."""

_NUMBERS = re.compile(r"\[[^][{}\"]*\]")
"""A list of them is one line."""

Curve = list[tuple[float, float]]


class Cost(msgspec.Struct):
    """One stretch of one run."""

    seconds: float
    count: int
    harness_busy: float | None
    """Share of its core; None where workers shared it."""
    cpu_per_million: dict[str, float]
    """CPU seconds of `worker`, `broker`, `harness` per million notifications."""


class OneRun(msgspec.Struct):
    figures: dict[str, float]
    costs: dict[str, Cost]
    curves: dict[str, Curve]
    loop_ms: float = 0.0
    """`machine.loop_ms` right before it."""


class Summary(msgspec.Struct):
    """Of one figure, over all runs."""

    measures: str
    unit: str
    better: str
    floor: float | None
    goal: float | None
    values: list[float]
    median: float
    low: float
    high: float
    verdict: str
    """`goal`, `floor`, `open`, `below`; empty where neither is set, or of more people."""


class Result(msgspec.Struct):
    scenario: str
    measures: str
    people: int
    date: str
    commit: str
    command: str
    machine: dict[str, str | int]
    figures: dict[str, Summary]
    costs: dict[str, Cost]
    """Of each stretch the median over all runs, number by number."""
    is_harness_bound: bool
    curves: dict[str, Curve]
    """Of the last run."""
    profiles: list[str]
    """Files beside this one."""
    loop_ms: list[float] = []
    """`machine.loop_ms` before each run."""


def noted(run: Run, loop_ms: float) -> OneRun:
    costs = {each.name: cost_of(each) for each in run.stretches}
    return OneRun(run.figures, costs, run.curves, loop_ms)


def summary(figure: Figure, values: list[float], *, is_bound: bool = True) -> Summary:
    """`is_bound`: whether it was measured with as many people as its bounds are of."""
    median = statistics.median(values)
    return Summary(
        measures=figure.measures, unit=figure.unit, better=figure.better,
        floor=figure.floor, goal=figure.goal,
        values=values, median=median, low=min(values), high=max(values),
        verdict=_verdict(figure, values) if is_bound else "",
    )  # fmt: skip


def median_costs(runs: Sequence[OneRun]) -> dict[str, Cost]:
    """Stretch by stretch; none of no runs."""
    names = runs[0].costs if runs else ()
    return {name: _median_cost([each.costs[name] for each in runs]) for name in names}


def is_harness_bound(runs: Sequence[OneRun]) -> bool:
    """One stretch of one run is enough: a median would hide the runs that it limited."""
    costs = (each for run in runs for each in run.costs.values())
    return any((each.harness_busy or 0.0) > HARNESS_BOUND for each in costs)


def read_results(folder: Path) -> list[Result]:
    files = sorted(folder.glob("*.json"))
    return [msgspec.json.decode(each.read_bytes(), type=Result) for each in files]


def write_result(folder: Path, result: Result) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(rounded(result)).decode(), indent=1)
    text = _NUMBERS.sub(lambda found: " ".join(found[0].split()), text)
    (folder / f"{result.scenario}.json").write_text(f"{text}\n")


def rounded(result: Result) -> object:
    """Five digits: nothing here is more exact, and files stay readable."""
    return _rounded(msgspec.to_builtins(result))


def _rounded(value: object) -> object:
    match value:
        case float():
            return float(f"{value:.5g}")
        case dict():
            return {key: _rounded(each) for key, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
    return value


def cost_of(stretch: Stretch) -> Cost:
    per_million = {who: stretch.per_million(who) for who in stretch.cpu}
    return Cost(stretch.seconds, stretch.count, stretch.harness_busy, per_million)


def _median_cost(costs: Sequence[Cost]) -> Cost:
    busy = [each.harness_busy for each in costs if each.harness_busy is not None]
    return Cost(
        statistics.median(each.seconds for each in costs),
        round(statistics.median(each.count for each in costs)),
        statistics.median(busy) if busy else None,
        {
            who: statistics.median(each.cpu_per_million[who] for each in costs)
            for who in costs[0].cpu_per_million
        },
    )


def _verdict(figure: Figure, values: Sequence[float]) -> str:
    """The best bound that all runs reach; where there is none, one that the median reaches is open."""
    bounds = [("goal", figure.goal), ("floor", figure.floor)]
    known = [(name, bound) for name, bound in bounds if bound is not None]
    for name, bound in known:
        if all(figure.reaches(each, bound) for each in values):
            return name
    if any(figure.reaches(statistics.median(values), bound) for _, bound in known):
        return "open"
    return "" if figure.floor is None else "below"
