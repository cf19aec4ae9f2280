"""`postrider prove`: strike an installation, and let an independent checker say what came of it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from proof.campaign import Campaign
from proof.faults.catalogue import FAULTS
from proof.figures import (
    FIGURES,
    TRIALS,
    figures_of,
    latest_results,
    latest_trials,
    trials_of,
)
from proof.mutants.catalogue import MUTANTS
from proof.report import KILLS_FILE, kills_table, report
from streams.cli.errors import Mistake
from streams.cli.options import new_app
from streams.cli.tables import show_table

EXIT_BROKEN = 1
T = TypeVar("T")

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
    is_everything: Annotated[
        bool, typer.Option("--everything", help="Every fault, and every mutant.")
    ] = False,
    with_mutants: Annotated[
        bool, typer.Option("--mutants", help="Plant faults in workers: each must be caught.")
    ] = False,
    mutants: Annotated[
        list[str] | None, typer.Option("--mutant", metavar="NAME", help="Only this; repeatable.")
    ] = None,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Results, and the evidence of what broke.")
    ] = Path(".postrider-proof"),
    report_file: Annotated[
        Path | None,
        typer.Option("--report", help="Write all so far as Markdown; kills.csv beside it."),
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="Show what there is.")] = False,
) -> None:
    """Run real workers beside an embedded Kafka and sandboxes of the providers, put load on them,
    strike them, and compare what was promised with what providers took and receipts say.

    All faults, if nothing is named. With --mutants the workers break a promise each, and the checker
    must complain.
    What is in the data directory, clean and of this commit, is not played again. The exit code is 1
    when a round broke a promise: its evidence is kept, and `python -m proof.checker FOLDER` judges it
    again. It is 1 likewise when a mutant was not caught.
    """
    if is_list:
        _show_all()
        return
    are_all_faults = is_everything or not (faults or with_mutants or mutants)
    are_all_mutants = is_everything or (with_mutants and not mutants)
    chosen = _named("--fault", FAULTS, list(FAULTS) if are_all_faults else faults or [])
    planted = _named("--mutant", MUTANTS, list(MUTANTS) if are_all_mutants else mutants or [])
    command = _command(faults or [], rounds, seed, is_everything, with_mutants, mutants or [])
    campaign = Campaign(data_dir, say=typer.echo, command=command)
    for fault in chosen:
        count = rounds or fault.rounds
        asyncio.run(campaign.run(fault, range(seed, seed + count)))
    if planted:
        asyncio.run(campaign.try_mutants(planted, seed=seed))
    results = latest_results(each for each in campaign.results.all if each.fault in FAULTS)
    trials = latest_trials(campaign.trials.all)
    show_table(figures_of(results), columns=FIGURES)
    show_table(trials_of(trials), columns=TRIALS)
    if report_file is not None:
        report_file.write_text(report(results, trials))
        report_file.with_name(KILLS_FILE).write_text(kills_table(results))
    are_clean = all(each.is_clean for each in results)
    if not are_clean or not all(each.is_as_it_must_be for each in trials):
        raise typer.Exit(EXIT_BROKEN)


def _command(
    faults: Sequence[str],
    rounds: int | None,
    seed: int,
    is_everything: bool,
    with_mutants: bool,
    mutants: Sequence[str],
) -> str:
    """What was typed, but for folders of this machine."""
    words = ["postrider", "prove", *(word for name in faults for word in ("--fault", name))]
    words += ["--rounds", str(rounds)] if rounds else []
    words += ["--seed", str(seed)] if seed != 1 else []
    words += ["--everything"] if is_everything else []
    words += ["--mutants"] if with_mutants else []
    words += [word for name in mutants for word in ("--mutant", name)]
    return " ".join(words)


def _show_all() -> None:
    rows = [
        {"fault": each.name, "rounds": each.rounds, "does": each.does, "expects": each.expects}
        for each in FAULTS.values()
    ]
    show_table(rows, columns=("fault", "rounds", "does", "expects"))
    planted = [
        {"mutant": each.name, "does": each.does, "scene": each.scene.name,
         "caught_by": ", ".join(sorted(each.caught_by))}
        for each in MUTANTS.values()
    ]  # fmt: skip
    show_table(planted, columns=("mutant", "does", "scene", "caught_by"))


def _named(option: str, there_are: Mapping[str, T], names: Sequence[str]) -> list[T]:
    for name in names:
        if name not in there_are:
            raise Mistake(f"{option}: there is no {name}; `postrider prove --list` shows all")
    return [there_are[name] for name in names]
