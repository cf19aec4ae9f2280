"""`postrider recipients`: what is known of people, brought in from files."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, BinaryIO, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from policies.clock import SystemClock
from schemas.topics import RECIPIENTS_IMPORTED
from streams.cli.clients import producing
from streams.cli.errors import Mistake
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.cli.values import instant_ms
from streams.config import Config
from streams.importing.formats import COLUMNS, FileMistake, Format, format_of, rows_of
from streams.importing.rejects import Rejects
from streams.importing.run import Import, Tally

EXIT_SOME_BAD = 1
_STDIN = Path("-")

_HELP = f"""Import recipients from a CSV, JSON Lines or Parquet file.

Good lines are imported, bad ones told with their number and field; exit code 1 if there were any.
An import never undoes what a person chose; running it again changes nothing.

Columns of CSV and Parquet, in any order:

\b
{COLUMNS}

JSON Lines, one object a line (broken here to fit):

\b
  {{"user_id": "ann", "email": "ann@example.com", "timezone": "Europe/Berlin",
   "preferences": {{"push": {{"enabled": true, "quiet_hours": "23:00-07:00"}},
                   "types": {{"promotion": false}}}}, "audiences": ["followers:7"],
   "devices": [{{"device_id": "d1", "token": "...", "platform": "ios"}}]}}
"""

app = new_app(has_subcommands=True)


@app.callback()
def recipients() -> None:
    """Import recipients from files."""


@app.command("import", help=_HELP)
def import_(
    file: Annotated[Path, typer.Argument(help="The file; - is stdin, with --format.")],
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Instead of what the extension says.", show_default=False),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="INSTANT",
            help="When the file was true, such as 2026-03-01T12:00:00Z; newer words win over it.",
            show_default="when the file was last modified",
        ),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(help="Write bad lines to this file, with what is wrong, as JSON Lines."),
    ] = None,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    loaded = load_config(config, data_dir=data_dir)
    clock = SystemClock()
    with ExitStack() as stack:
        chosen = _format(file, format_)
        opened = stack.enter_context(_opened(file))
        as_of_ms = _as_of_ms(as_of, opened, clock.now_ms())
        bad = Rejects(stack.enter_context(_kept(rejects)), is_tabular=chosen != "jsonl")
        progress = stack.enter_context(_progress(opened))
        started = clock.elapsed_seconds()
        try:
            tally = asyncio.run(_import(loaded, opened, chosen, as_of_ms, bad, progress))
        except FileMistake as error:
            raise Mistake(f"{file}: {error}") from None
        seconds = clock.elapsed_seconds() - started
    _summarise(tally, seconds, bad.untold, as_json=as_json)
    if tally.bad:
        raise typer.Exit(EXIT_SOME_BAD)


async def _import(
    config: Config,
    file: BinaryIO,
    format_: Format,
    as_of_ms: int,
    on_bad: Rejects,
    on_progress: Callable[[Tally], None],
) -> Tally:
    async with producing(config, RECIPIENTS_IMPORTED) as producer:
        run = Import(
            producer,
            names=config.kafka.names,
            partitions=config.partitions,
            on_bad=on_bad,
            on_progress=on_progress,
        )
        return await run.run(rows_of(format_, file), as_of_ms=as_of_ms)


def _summarise(tally: Tally, seconds: float, untold: int, *, as_json: bool) -> None:
    if untold:
        typer.echo(f"... and {untold:,} more lines; --rejects FILE keeps all of them", err=True)
    rate = round(tally.imported / max(seconds, 0.001))
    if as_json:
        typer.echo(json.dumps({"imported": tally.imported, "bad": tally.bad, "per_second": rate}))
        return
    bad = f"{tally.bad:,} bad lines left out, " if tally.bad else ""
    typer.echo(f"{tally.imported:,} recipients imported, {bad}{seconds:.1f} s, {rate:,}/s")


def _format(file: Path, given: Format | None) -> Format:
    if given is not None:
        chosen = given
    elif file == _STDIN:
        raise Mistake("stdin has no extension: say --format csv or --format jsonl")
    else:
        try:
            chosen = format_of(file.name)
        except FileMistake as error:
            raise Mistake(str(error)) from None
    if chosen == "parquet" and file == _STDIN:
        raise Mistake("Parquet is read from its end, so it cannot come from stdin")
    return chosen


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if file == _STDIN:
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise Mistake(f"{file}: cannot be read: {error.strerror}") from None
    with opened:
        yield opened


@contextmanager
def _kept(file: Path | None) -> Iterator[TextIO | None]:
    if file is None:
        yield None
        return
    try:
        opened = file.open("w")
    except OSError as error:
        raise Mistake(f"--rejects {file}: cannot be written: {error.strerror}") from None
    with opened:
        yield opened


def _as_of_ms(given: str | None, file: BinaryIO, now_ms: int) -> int:
    """The same for every run on the same file. Never the future: no later word would win over it."""
    if given is not None:
        return instant_ms("--as-of", given)
    status = os.fstat(file.fileno())
    return min(status.st_mtime_ns // 1_000_000, now_ms) if S_ISREG(status.st_mode) else now_ms


@contextmanager
def _progress(file: BinaryIO) -> Iterator[Callable[[Tally], None]]:
    """A bar on a terminal, by how much of the file was read; nothing anywhere else."""
    size = os.fstat(file.fileno()).st_size or None
    shown = Progress(
        TextColumn("importing"),
        BarColumn(),
        TaskProgressColumn(show_speed=False),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    bar = shown.add_task("", total=size, told="")

    def tell(tally: Tally) -> None:
        read = size if file.closed or size is None else file.tell()
        elapsed = shown.tasks[0].elapsed or 0.001
        told = f"{tally.imported:,} ({tally.imported / elapsed:,.0f}/s)"
        shown.update(bar, completed=read, told=told)

    with shown:
        yield tell
