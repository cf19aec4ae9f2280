"""`postrider dlq`: dead letters listed, shown and put back."""

import asyncio
import heapq
import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, TypeVar

import typer

from policies.clock import SystemClock
from schemas.dead_letter import DeadLetter
from schemas.printing import printable
from schemas.topics import DEAD_LETTERS
from streams.cli.clients import producing
from streams.cli.errors import Mistake
from streams.cli.laid_out import require_topics
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.cli.progress import counting
from streams.cli.tables import show_table
from streams.cli.values import past_ms, rate
from streams.config import Config
from streams.letters.putting_back import Counts, Pace, PuttingBack
from streams.letters.reading import Coordinate, Found, Letters, Selection, opened
from streams.letters.replaying import NotReplayable, Replay
from streams.letters.showing import original, summary
from streams.outbox import Outbox

T = TypeVar("T")

app = new_app(has_subcommands=True)

Since = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Given up at or after: an instant, or how long ago (2h)."),
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Given up before; likewise.")]
Stage = Annotated[str | None, typer.Option(help="Of this stage, such as decide or send.")]
Cause = Annotated[str | None, typer.Option(help="For this cause, such as attempts_exhausted.")]


@app.callback()
def dlq() -> None:
    """List, show and replay what was given up."""


@app.command("list")
def list_(
    since: Since = None,
    until: Until = None,
    stage: Stage = None,
    cause: Cause = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest last, each with the coordinate that `show` takes.

    With --json each line is an object.
    """
    loaded = load_config(config, data_dir=data_dir)
    selection, replay = _selection(since, until, stage, cause), _rules_of_replay(loaded)

    async def newest(letters: Letters) -> tuple[list[dict[str, Any]], int]:
        kept: list[tuple[int, Coordinate, dict[str, Any]]] = []
        count = 0
        async for found in letters.select(selection):
            count += 1
            row = (found.appended_ms, found.at, _listed(found, replay))
            (heapq.heappush if len(kept) < limit else heapq.heappushpop)(kept, row)
        return [row for _, _, row in sorted(kept, key=lambda each: each[:2])], count

    rows, count = _with_letters(loaded, newest)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    if rows:
        show_table(rows, columns=_COLUMNS)
    untold = f", the newest {limit} are listed" if count > limit else ""
    typer.echo(f"{count:,} dead letters{untold}", err=True)


@app.command()
def show(
    coordinate: Annotated[str, typer.Argument(help="As `dlq list` prints it, such as 3:1742.")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show sensitive fields and addresses too.")
    ] = False,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with its original.

    Addresses and what a type calls sensitive are covered, unless --reveal is given.
    """
    loaded = load_config(config, data_dir=data_dir)
    at = _coordinate(coordinate)
    found = _with_letters(loaded, lambda letters: letters.get(at))
    if found is None:
        raise Mistake(f"{coordinate}: no dead letter is there, or it is not kept any more")
    said = {"coordinate": str(at), "replay": _fate(found.letter, _rules_of_replay(loaded))}
    said |= summary(found.letter)
    content = original(found.letter, loaded.rules, reveal=reveal)
    if as_json:
        typer.echo(json.dumps({**said, "original": content}))
        return
    for name, value in said.items():
        if value not in ("", []):
            text = ", ".join(value) if isinstance(value, list) else str(value)
            typer.echo(f"{name:<12} {printable(text)}")
    typer.echo("original")
    is_text = isinstance(content, str)
    text = content if is_text else json.dumps(content, indent=2, ensure_ascii=False)
    typer.echo(printable(text, keep="\n\t"))


@app.command()
def replay(
    coordinates: Annotated[
        list[str] | None, typer.Argument(metavar="COORDINATE", help="Just these.")
    ] = None,
    since: Since = None,
    until: Until = None,
    stage: Stage = None,
    cause: Cause = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are kept.")] = False,
    rate_: Annotated[
        str, typer.Option("--rate", metavar="N/s", help="Deliveries, or records, a second.")
    ] = "1000/s",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back where they left, once what was wrong is mended.

    Deliveries go out as a new round: stops, preferences and expiry are checked again, caps not
    counted again. Records of other stages go back as themselves, with their ids. Run again, it
    repeats nothing. What cannot go back (an undecodable record, a delivery that another channel
    went on with, or older than stops are remembered) is counted with the reason.
    """
    loaded = load_config(config, data_dir=data_dir)
    at = frozenset(_coordinate(text) for text in coordinates or ())
    if not (at or since or until or stage or cause or everything):
        raise Mistake("say which: coordinates, --since, --until, --stage, --cause, or --all")
    limit = rate("--rate", rate_)
    selection = _selection(since, until, stage, cause, at)
    pace = None if dry_run else Pace(limit.count / limit.window_seconds, SystemClock())
    is_asked = sys.stdin.isatty() and not (yes or dry_run)
    confirm = partial(_confirm, is_shown=not as_json, is_asked=is_asked)
    counts = _with_letters(
        loaded, lambda letters: _replay(loaded, letters, selection, pace, confirm)
    )
    if as_json:
        typer.echo(json.dumps(counts.as_json(is_done=not dry_run)))
    elif not dry_run:
        typer.echo(
            f"{counts.letters:,} dead letters put back, {counts.weight:,} deliveries or records"
        )


async def _replay(
    config: Config,
    letters: Letters,
    selection: Selection,
    pace: Pace | None,
    confirm: Callable[[Counts], None],
) -> Counts:
    """Count what is selected, ask, and put it back; without a `pace` only count."""
    run = PuttingBack(letters, selection, _rules_of_replay(config))
    counts = await run.count()
    confirm(counts)
    if pace is not None and counts.letters:
        with counting("putting back", counts.weight) as advance:
            async with producing(config) as producer:
                outbox = Outbox(producer, names=config.kafka.names)
                await run.put_back(outbox, pace, on_progress=advance)
    return counts


def _confirm(counts: Counts, *, is_shown: bool, is_asked: bool) -> None:
    if is_shown:
        show_table(counts.rows(), columns=("stage", "cause", "count", "replay"))
    if is_asked and counts.letters:
        typer.confirm(f"put {counts.letters:,} dead letters back?", abort=True)


_COLUMNS = ("coordinate", "occurred_at", "stage", "cause", "detail", "origin", "count", "replay")


def _listed(found: Found, replay: Replay) -> dict[str, Any]:
    letter = found.letter
    count = len(letter.batch().targets) if letter.kind == "deliveries" else 1
    return {
        "coordinate": str(found.at),
        "occurred_at": letter.occurred_at,
        "stage": letter.stage,
        "cause": letter.cause,
        "detail": letter.detail,
        "kind": letter.kind,
        "count": count,
        "round": letter.round,
        "origin": letter.origin,
        "replay": _fate(letter, replay),
    }


def _fate(letter: DeadLetter, replay: Replay) -> str:
    fate = replay.of(letter)
    return f"no: {fate.why}" if isinstance(fate, NotReplayable) else "yes"


def _rules_of_replay(config: Config) -> Replay:
    return Replay(ingress=config.lanes.keys(), now_ms=SystemClock().now_ms())


def _coordinate(text: str) -> Coordinate:
    try:
        return Coordinate.read(text)
    except ValueError as error:
        raise Mistake(f"{text}: {error}") from None


def _selection(
    since: str | None,
    until: str | None,
    stage: str | None,
    cause: str | None,
    coordinates: frozenset[Coordinate] = frozenset(),
) -> Selection:
    now_ms = SystemClock().now_ms()
    return Selection(
        since_ms=None if since is None else past_ms("--since", since, now_ms=now_ms),
        until_ms=None if until is None else past_ms("--until", until, now_ms=now_ms),
        stage=stage,
        cause=cause,
        coordinates=coordinates,
    )


def _with_letters(config: Config, act: Callable[[Letters], Awaitable[T]]) -> T:
    async def run() -> T:
        connection, names = config.kafka.connection(), config.kafka.names
        await require_topics(config, DEAD_LETTERS)
        async with opened(connection, names=names, partitions=config.partitions) as letters:
            return await act(letters)

    return asyncio.run(run())
