"""`postrider show`: what became of a notification or a broadcast."""

import asyncio
import json
from typing import Annotated

import typer

from policies.clock import SystemClock
from schemas import ids
from schemas.topics import RECEIPTS
from streams.cli.errors import Mistake
from streams.cli.laid_out import require_topics
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.cli.tables import show_table
from streams.cli.values import past_ms
from streams.config import Config
from streams.lookup import showing
from streams.lookup.finding import Found, find

app = new_app()


@app.command(short_help="Show what became of a notification or broadcast.")
def show(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Of a notification or broadcast, as `send` prints.")
    ],
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="Search receipts from here on, where no lookup has them."
        ),
    ] = "7d",
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the state, attempts, reasons and times of each channel of a notification; of a
    broadcast, how many of its deliveries are in which state.

    It reads what `postrider lookup` keeps in the data directory, and the receipts since; where
    no lookup ran it searches the receipts, which takes longer.
    """
    try:
        wanted = ids.from_text(id_)
    except ValueError as error:
        raise Mistake(f"{id_}: {error}") from None
    since_ms = past_ms("--since", since, now_ms=SystemClock().now_ms())
    loaded = load_config(config, data_dir=data_dir)
    found = asyncio.run(_found(loaded, wanted, since_ms))
    if not found:
        raise Mistake(f"{id_}: no receipt of it since {since}: not decided yet, or never requested")
    if as_json:
        typer.echo(json.dumps(showing.as_dict(wanted, found), indent=2))
        return
    typer.echo(f"{id_}  {showing.title(found)}")
    if found.counts:
        show_table(showing.count_table(found), columns=showing.COUNT_COLUMNS)
    elif found.deliveries:
        show_table(showing.table(found), columns=showing.COLUMNS)
    for line in showing.remark_lines(found):
        typer.echo(line)


async def _found(config: Config, wanted: bytes, since_ms: int) -> Found:
    await require_topics(config, RECEIPTS)
    return await find(config, wanted, since_ms=since_ms)
