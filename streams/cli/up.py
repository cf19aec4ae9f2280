"""`postrider up`: everything on one machine."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from streams.assembly import layout_of
from streams.cli.clients import patience_of
from streams.cli.errors import Mistake
from streams.cli.options import CONFIG_FILE, ConfigFile, load_config, new_app
from streams.config import EVERYTHING
from streams.demo.ensemble import Ensemble, NotReady
from streams.demo.run import create_topics
from streams.topic_admin import require
from streams.topology import ROLES

app = new_app()


@app.command(short_help="Run everything on one machine.")
def up(
    config: ConfigFile = CONFIG_FILE,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", envvar="POSTRIDER_DATA", help="Kept between runs.")
    ] = Path(".postrider"),
) -> None:
    """Run the embedded Kafka, the provider sandbox and a worker of each role until Ctrl-C.

    Where producers and a browser find them is printed once everything serves.
    """
    load_config(config, role=EVERYTHING, data_dir=data_dir, with_templates=True)
    ensemble = Ensemble(
        config_file=config, data_dir=data_dir, say=lambda text: typer.echo(text, err=True)
    )
    ensemble.start_kafka()
    try:
        asyncio.run(_run(ensemble, config, data_dir))
    finally:
        ensemble.stop_kafka()


async def _run(ensemble: Ensemble, file: Path, data_dir: Path) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        await ensemble.start_sandbox()
        config = load_config(file, data_dir=data_dir)
        await create_topics(config)
        layout, patience = layout_of(config), patience_of(config)
        for role in ROLES:
            await require(config.kafka, role=role, layout=layout, patience=patience)
        await ensemble.start_workers()
        typer.echo(f"Kafka     {config.kafka.connection()['bootstrap_servers']}")
        typer.echo(f"sandbox   {ensemble.page}")
        typer.echo(f"logs      {data_dir / 'logs'}")
        typer.echo("Ctrl-C stops everything; data stays.")
        keeping = asyncio.create_task(ensemble.keep_kafka())
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait((keeping, waiting), return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()
        keeping.cancel()
    except NotReady as error:
        raise Mistake(str(error)) from None
    finally:
        await ensemble.stop()
