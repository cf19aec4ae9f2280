"""The table of results in the README, between its markers."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.whole.profiler import heaviest
from benchmarks.whole.results import Cost, Result, Summary
from benchmarks.whole.scenarios import SCENARIOS

_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"
_SIGNS = {"goal": "goal", "floor": "floor", "open": "open", "below": "**below**", "": ""}


def update(file: Path, results: Sequence[Result]) -> None:
    order = list(SCENARIOS)
    known = [each for each in results if each.scenario in SCENARIOS]
    known.sort(key=lambda each: order.index(each.scenario))
    parts = [table(known), *where_time_goes(known, file.parent / "results")]
    put(file, "\n".join([*parts, "", *measured_on(known), ""]))


def put(file: Path, text: str) -> None:
    """Between the markers of a page, in place of what is there."""
    before, _, rest = file.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    file.write_text(f"{before}{_BEGIN}\n\n{text}\n{_END}{after}")


def table(results: Sequence[Result]) -> str:
    """Figures, then what they cost, as Markdown."""
    lines = [
        "| Scenario | Figure | Median (range) | Runs | Floor | Goal | Reaches |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        mark = " ‡" if result.is_harness_bound else ""
        title = f"[{result.scenario}](plots/{result.scenario}.svg){mark}"
        for each in result.figures.values():
            bounds = [number(bound) for bound in (each.floor, each.goal)]
            cells = [
                title,
                each.measures,
                told(each),
                str(len(each.values)),
                *bounds,
                _SIGNS[each.verdict],
            ]
            lines.append(f"| {' | '.join(cells)} |")
            title = ""  # once is enough
    lines += [
        "",
        "| Stretch | Worker | Broker | Harness | Harness core busy |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        for name, cost in result.costs.items():
            lines.append(f"| {result.scenario}: {name} | {' | '.join(_costs(cost))} |")
    paces = [f"{each.scenario} {pace(each)}" for each in results if each.loop_ms]
    if paces:
        lines += ["", f"What a fixed loop took before the runs, ms: {', '.join(paces)}."]
    return "\n".join(lines)


def where_time_goes(results: Sequence[Result], folder: Path) -> list[str]:
    """Of each profile a line: the functions in which the interpreter was most, by their own time."""
    lines = []
    for result in results:
        for profile in result.profiles:
            name = Path(profile).stem
            top = ", ".join(f"`{each}`" for each in heaviest((folder / profile).read_text()))
            lines.append(
                f"| [{result.scenario}: {name}](results/{profile}) | {top or 'no samples'} |"
            )
    if not lines:
        return []
    return [
        "",
        "| Stretch and worker | Where the interpreter was most, own time |",
        "|---|---|",
        *lines,
    ]


def pace(result: Result) -> str:
    values = result.loop_ms
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def told(figure: Summary) -> str:
    """`123 (120-130) /s`."""
    numbers = f"{number(figure.median)} ({number(figure.low)}–{number(figure.high)})"
    return f"{numbers} {figure.unit}"


def _costs(cost: Cost) -> list[str]:
    busy = "" if cost.harness_busy is None else f"{cost.harness_busy:.0%}"
    return [*(f"{cost.cpu_per_million[who]:.1f}" for who in ("worker", "broker", "harness")), busy]


def measured_on(results: Sequence[Result]) -> list[str]:
    """On what, once for all results that have it in common."""
    facts: dict[str, list[str]] = {}
    for each in results:
        on = ", ".join(f"{key} {value}" for key, value in each.machine.items())
        fact = f"{each.people:,} people, commit `{each.commit}`, {each.date[:10]}: {on}."
        facts.setdefault(fact, []).append(each.scenario)
    if len(facts) == 1:
        return [f"Measured with {fact}" for fact in facts]
    return [f"{', '.join(names)}: measured with {fact}  " for fact, names in facts.items()]


def number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"
