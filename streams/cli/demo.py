"""`postrider demo`: watch notifications go from topics to a mailbox, a phone and receipts."""

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.cli.errors import Mistake
from streams.cli.options import CONFIG_FILE, ConfigFile, load_config, new_app
from streams.demo.ensemble import Ensemble, NotReady
from streams.demo.run import Demo, create_topics
from streams.demo.screen import Screen
from streams.demo.tally import Tally
from streams.reconcile import reconcile

app = new_app()

EXIT_UNBALANCED = 1
_MARK = ".postrider-demo"
_ENVIRONMENT = {"SMS_RATE": "200/s", "POSTRIDER_SANDBOX": "on"}
"""A carrier that is faster than real ones: nobody wants to watch ten SMS a second for minutes."""


@app.command(short_help="Watch sample notifications go all the way.")
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End when every delivery is settled or deferred.")
    ] = False,
    config: ConfigFile = CONFIG_FILE,
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Made anew for each run.")] = Path(
        ".postrider-demo"
    ),
) -> None:
    """Import 10,000 recipients, publish traffic of every kind, and show what becomes of it.

    With --once the summary and both loss equations are printed, and the exit code is 0 only if
    they hold.
    """
    _make_anew(data_dir)
    os.environ.update(_ENVIRONMENT)
    console = Console()
    tally = Tally()
    screen = Screen(console, tally)
    ensemble = Ensemble(
        config_file=config, data_dir=data_dir, environment=_ENVIRONMENT, say=console.print
    )
    began = time.monotonic()
    ensemble.start_kafka()
    try:
        holds = asyncio.run(_run(ensemble, screen, tally, config, data_dir, once, began))
    finally:
        ensemble.stop_kafka()
    if not holds:
        raise typer.Exit(EXIT_UNBALANCED)


async def _run(
    ensemble: Ensemble,
    screen: Screen,
    tally: Tally,
    file: Path,
    data_dir: Path,
    once: bool,
    began: float,
) -> bool:
    try:
        await ensemble.start_sandbox()
        config = load_config(file, data_dir=data_dir)
        await create_topics(config)
        await ensemble.start_workers()
        print(f"mailbox, phone and SMS: {ensemble.page}", flush=True)
        show = Demo(config, screen=screen, tally=tally)
        with screen:
            async with show.watching():
                work = asyncio.create_task(show.run_once() if once else show.run_for_ever())
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, work.cancel)
                await asyncio.wait([work])
        if not work.cancelled() and (error := work.exception()) is not None:
            raise error
        screen.final(print)
        print(f"published: {show.traffic.summary()}")
        print(f"memory in MiB: {ensemble.memory_mib()}")
        print(f"{time.monotonic() - began:.0f} s in all")
        if not once or work.cancelled():
            return True
        balance = await reconcile(config)
        for line in balance.lines():
            print(line)
        return balance.holds
    except NotReady as error:
        raise Mistake(str(error)) from None
    finally:
        await ensemble.stop()


def _make_anew(folder: Path) -> None:
    """Only what an earlier demo made is removed."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise Mistake(f"{folder} holds something that no demo made: choose another --data-dir")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
