"""`postrider lookup`: the latest state of every delivery, kept up to date."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from policies.clock import SystemClock
from schemas.topics import RECEIPTS
from streams.cli.clients import patience_of
from streams.cli.errors import Mistake
from streams.cli.laid_out import require_topics
from streams.cli.options import CONFIG_FILE, ConfigFile, DataDir, load_config, new_app
from streams.config import Config
from streams.config_errors import ConfigurationRefused
from streams.lookup.run import Lookup, Progress
from streams.open_files import allow_most
from streams.supervisor import SlotLock, SlotTaken, SlotUnwritable
from tables.state import StoreFailed
from tables.store import StoreBudget

app = new_app()


@app.command(short_help="Keep the latest state of every delivery, for `postrider show`.")
def lookup(
    once: Annotated[
        bool, typer.Option("--once", help="End when every receipt of this moment is read.")
    ] = False,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
) -> None:
    """Read the receipts topic and keep how each delivery stands and what each user was told.

    It runs until Ctrl-C, goes on where it was, and forgets what is older than the receipts.
    `postrider show` reads it; without one `show` has to search the receipts themselves.
    """
    loaded = load_config(config, data_dir=data_dir)
    try:
        allow_most(partitions=loaded.partitions, connections=0)
        with SlotLock(loaded.data_dir / "lookup"), _shown() as show:
            asyncio.run(_run(loaded, once, show))
    except SlotTaken:
        raise Mistake(f"another lookup runs in {loaded.data_dir}") from None
    except ConfigurationRefused as refused:
        raise Mistake("; ".join(refused.problems)) from None
    except (SlotUnwritable, StoreFailed) as error:
        raise Mistake(str(error)) from None


async def _run(config: Config, once: bool, show: Callable[[Progress], None]) -> None:
    running = asyncio.create_task(_keep(config, once, show))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running


async def _keep(config: Config, once: bool, show: Callable[[Progress], None]) -> None:
    patience = patience_of(config)
    await patience.wait_for(partial(require_topics, config, RECEIPTS))
    keeping = Lookup(
        data_dir=config.data_dir,
        partitions=range(config.partitions),
        names=config.kafka.names,
        connection=config.kafka.connection(),
        budget=StoreBudget(
            cache_bytes=config.memory.cache, write_buffer_bytes=config.memory.write_buffers
        ),
        now_ms=SystemClock().now_ms,
        on_progress=show,
        say=lambda text: typer.echo(text, err=True),
        patience=patience,
    )
    await keeping.run(once=once)


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """A line that changes on a terminal; elsewhere one when it has caught up."""
    began, was_told = time.monotonic(), False
    with Status("opening", console=Console(stderr=True, quiet=not sys.stderr.isatty())) as status:

        def show(progress: Progress) -> None:
            nonlocal was_told
            rate = progress.folded / max(time.monotonic() - began, 0.001)
            told = f"{progress.folded:,} receipts read ({rate:,.0f}/s)"
            if progress.behind:
                status.update(f"{told}, {progress.behind:,} to go")
                return
            status.update(f"{told}, up to date")
            if not was_told and not sys.stderr.isatty():
                typer.echo(f"{told}, up to date", err=True)
            was_told = True

        yield show
