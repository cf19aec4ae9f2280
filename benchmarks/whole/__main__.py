"""`python -m benchmarks.whole`: see benchmarks/README.md."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.whole import coefficients, page, plots
from benchmarks.whole.campaign import Campaign
from benchmarks.whole.machine import command
from benchmarks.whole.results import Result, read_results
from benchmarks.whole.scenarios import SCENARIOS

_FOLDER = Path(__file__).parents[1]
_QUICK_PEOPLE, _PEOPLE = 40_000, 1_000_000


def main(
    scenarios: Annotated[list[str] | None, typer.Argument(help="All when none is named.")] = None,
    people: Annotated[int | None, typer.Option(min=1000, show_default="1000000")] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            min=1, help="Runs of each that count, at least.", show_default="2, 3 or 5, as each has"
        ),
    ] = None,
    is_quick: Annotated[
        bool, typer.Option("--quick", help="Few people, one run: whether it works, not how fast.")
    ] = False,
    data: Annotated[
        Path, typer.Option(help="Prepared installations and single runs, kept.")
    ] = _FOLDER / ".state",
    is_list: Annotated[bool, typer.Option("--list", help="Show the scenarios, run none.")] = False,
) -> None:
    """Measure whole installations, and write results, plots and the table of the README."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of what it tries again
    if is_list:
        for each in SCENARIOS.values():
            print(f"{each.name:14} {each.measures}")
        return
    for name in scenarios or ():
        if name not in SCENARIOS:
            raise typer.BadParameter(f"there is no {name}; --list shows all")
    folder = data / "quick" if is_quick else _FOLDER
    campaign = Campaign(
        people=people or (_QUICK_PEOPLE if is_quick else _PEOPLE),
        repeats=1 if is_quick else repeats, is_quick=is_quick,
        data=data, results=folder / "results",
        command=command("benchmarks.whole", sys.argv[1:]),
    )  # fmt: skip
    chosen = [SCENARIOS[name] for name in scenarios or SCENARIOS]
    if not is_quick:
        minutes = sum(map(campaign.expected_seconds, chosen)) / 60
        print(
            f"about {minutes:.0f} minutes with a million people, and 3 to prepare them", flush=True
        )
    failed = []
    for scenario in chosen:
        try:
            result = campaign.measure(scenario)
        except (RuntimeError, TimeoutError) as error:  # the others can be measured all the same
            failed.append(scenario.name)
            print(f"{scenario.name} FAILED: {error}", flush=True)
            continue
        _tell(result)
        plots.draw(result, folder / "plots")
    if not is_quick:
        results = read_results(folder / "results")
        page.update(folder / "README.md", results)
        coefficients.update(results)
    if failed:
        sys.exit(f"without a result: {', '.join(failed)}")


def _tell(result: Result) -> None:
    mark = ", harness-bound" if result.is_harness_bound else ""
    print(f"{result.scenario} ({result.people:,} people{mark})")
    for each in result.figures.values():
        print(f"  {page.told(each)}  {each.measures}", flush=True)


if __name__ == "__main__":
    typer.run(main)
