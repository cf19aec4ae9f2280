"""`postrider prove`: strike an installation, and let an independent checker say what came of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from proof.campaign import Campaign
from proof.faults.catalogue import FAULTS
from proof.report import FIGURES, figures_of, report
from proof.results import Result
from streams.cli.errors import Mistake
from streams.cli.options import new_app
from streams.cli.tables import show_table

EXIT_BROKEN = 1

app = new_app()


@app.command(short_help="Strike an installation on purpose, and check every promise.")
def prove(
    faults: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="Only this; repeatable.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Of each fault.", show_default="as --list says")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the first round; the next has the next.")] = 1,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Results, and the evidence of what broke.")
    ] = Path(".postrider-proof"),
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write all results so far as Markdown.")
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="Show the faults, play none.")] = False,
) -> None:
    """Run real workers beside an embedded Kafka and sandboxes of the providers, put load on them,
    strike them, and compare what was promised with what providers took and receipts say.

    Rounds whose results are in the data directory are not played again. The exit code is 1 when a
    round broke a promise, its evidence is kept: `python -m proof.checker FOLDER` judges it again.
    """
    if is_list:
        rows = [
            {"fault": each.name, "rounds": each.rounds, "does": each.does, "expects": each.expects}
            for each in FAULTS.values()
        ]
        show_table(rows, columns=("fault", "rounds", "does", "expects"))
        return
    chosen = [FAULTS[each] for each in _known(faults or list(FAULTS))]
    campaign = Campaign(data_dir, on_result=_tell)
    for fault in chosen:
        seeds = range(seed, seed + (rounds or fault.rounds))
        asyncio.run(campaign.run(fault, seeds))
    results = [each for each in campaign.results.all if each.fault in FAULTS]
    show_table(figures_of(results), columns=FIGURES)
    if report_file is not None:
        report_file.write_text(report(results))
    if not all(each.is_clean for each in results):
        raise typer.Exit(EXIT_BROKEN)


def _known(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in FAULTS:
            raise Mistake(f"--fault: there is no {name}; `postrider prove --list` shows all")
    return names


def _tell(result: Result) -> None:
    verdict = "clean" if result.is_clean else "BROKEN"
    typer.echo(
        f"{result.fault} seed {result.seed}: {verdict}, {len(result.struck)} blows, "
        f"{result.intents} promises, {result.accepts} accepted, "
        f"{sum(result.doubts.values())} in doubt, {result.seconds:.0f} s"
    )
    for each in result.violations[:20]:
        typer.echo(f"  {each}")
    if result.evidence:
        typer.echo(f"  evidence: {result.evidence}")
