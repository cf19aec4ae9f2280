"""`postrider topics`: the topics on a cluster, made and compared."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import typer

from streams.assembly import layout_of
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.reaching import reach
from streams.topic_admin import TopicAdmin, connected
from streams.topic_check import Difference

T = TypeVar("T")

EXIT_DIFFERENT = 1

app = new_app(has_subcommands=True)


@app.callback()
def topics() -> None:
    """Create the topics, or compare a cluster with them."""


@app.command()
def create(
    config: ConfigFile = CONFIG_FILE, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Create every topic that is missing.

    What exists is left as it is, so run it as often as you like.
    """
    created = _on_cluster(config, data_dir, TopicAdmin.create)
    if as_json:
        typer.echo(json.dumps({"created": created}))
        return
    for name in created:
        typer.echo(f"created {name}")
    typer.echo(f"{len(created)} topics created" if created else "every topic is there already")


@app.command()
def check(
    config: ConfigFile = CONFIG_FILE, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Compare the cluster with what it should be, and say what to do.

    refused: no worker starts with it. unsafe: something may be lost or repeated. note: allowed.
    Exit code 1 when there is anything but notes.
    """
    found = _on_cluster(config, data_dir, TopicAdmin.check)
    if as_json:
        typer.echo(json.dumps({"differences": [asdict(each) for each in found]}, indent=2))
    else:
        _show(found)
    if any(each.weight != "note" for each in found):
        raise typer.Exit(EXIT_DIFFERENT)


def _show(found: list[Difference]) -> None:
    colours = {"refused": typer.colors.RED, "unsafe": typer.colors.YELLOW, "note": None}
    for each in found:
        typer.echo(f"{typer.style(each.weight, fg=colours[each.weight])} {each}")
    if not found:
        typer.echo("every topic is as it should be")


def _on_cluster(file: Path, data_dir: Path | None, act: Callable[[TopicAdmin], Awaitable[T]]) -> T:
    config = load_config(file, data_dir=data_dir)

    async def run() -> T:
        layout, names = layout_of(config), config.kafka.names
        await reach(config.kafka)
        async with connected(config.kafka.connection(), layout=layout, names=names) as admin:
            return await act(admin)

    return asyncio.run(run())
