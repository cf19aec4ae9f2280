"""A picture a scenario: every run of every figure beside its floor and goal, and curves."""

from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.whole.results import Curve, Result, Summary

_RUN, _FLOOR, _GOAL = "#2b6cb0", "#c05621", "#2f855a"


def draw(result: Result, folder: Path) -> None:
    """`folder/SCENARIO.svg`; the same result makes the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    matplotlib.use("svg")
    rows = [*result.figures.values()]
    heights = [1.0] * len(rows) + [3.5] * len(result.curves)
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": result.scenario, "font.size": 9}
    ):
        figure, axes = pyplot.subplots(
            len(heights), figsize=(8, 0.8 * sum(heights) + 0.6), squeeze=False,
            gridspec_kw={"height_ratios": heights}, layout="constrained",
        )  # fmt: skip
        figure.suptitle(f"{result.scenario}, {result.people:,} people")
        for place, each in enumerate(rows):
            _runs(axes[place][0], each)
        for place, (name, points) in enumerate(result.curves.items(), len(rows)):
            _curve(axes[place][0], name, points)
        figure.savefig(folder / f"{result.scenario}.svg", metadata={"Date": None})
        pyplot.close(figure)


def _runs(axes: Axes, figure: Summary) -> None:
    axes.plot(figure.values, [0.0] * len(figure.values), "o", color=_RUN, alpha=0.6)
    axes.plot([figure.median], [0.0], "|", color=_RUN, markersize=18)
    for bound, colour, name in ((figure.floor, _FLOOR, "floor"), (figure.goal, _GOAL, "goal")):
        if bound is not None:
            axes.axvline(bound, color=colour, linewidth=1)
            axes.annotate(f" {name}", (bound, 0.6), color=colour, fontsize=7)
    axes.set_xlim(left=min(0.0, figure.low * 1.1))
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.set_title(f"{figure.measures}, {figure.unit}", loc="left", fontsize=8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def _curve(axes: Axes, name: str, points: Curve) -> None:
    across, _, up = name.partition(" · ")
    axes.plot([x for x, _ in points], [y for _, y in points], color=_RUN)
    axes.set_yscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.yaxis.set_minor_formatter("")
