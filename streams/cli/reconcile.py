"""`postrider reconcile`: is anything lost?"""

import asyncio
import json
from typing import Annotated

import typer

from policies.clock import SystemClock
from streams.assembly import layout_of
from streams.cli.errors import Mistake
from streams.cli.laid_out import require_topics
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.cli.progress import counting
from streams.cli.values import past_ms
from streams.config import Config
from streams.reconcile import Reconciliation
from streams.reconcile import reconcile as compute

EXIT_LOST = 1

app = new_app()


@app.command(short_help="Compute the loss equations; exit code 1 when they do not hold.")
def reconcile(
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="Requests appended at or after: an instant, or how long ago (2h)."
        ),
    ] = "24h",
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Appended before; likewise. Default: now.")
    ] = None,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Account for every request of a time range, and for every delivery of theirs, from the topics.

    requests = decided + rejected + duplicate + waiting

    deliveries decided = settled + deferred + retrying + in flight

    waiting: not read yet. rejected: a receipt or a dead letter says why. deferred, retrying and
    in flight count only when a schedule or a queue still holds the delivery. Some of what is
    missing is named. It may be run at any time, on a busy system too.
    """
    now_ms = SystemClock().now_ms()
    since_ms = past_ms("--since", since, now_ms=now_ms)
    until_ms = None if until is None else past_ms("--until", until, now_ms=now_ms)
    if until_ms is not None and until_ms <= since_ms:
        raise Mistake("--until: expected an instant after --since")
    loaded = load_config(config, data_dir=data_dir)
    found = asyncio.run(_computed(loaded, since_ms, until_ms))
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        for line in found.lines():
            typer.echo(line)
    if not found.holds:
        raise typer.Exit(EXIT_LOST)


async def _computed(config: Config, since_ms: int, until_ms: int | None) -> Reconciliation:
    await require_topics(config, *(topic.name for topic in layout_of(config).topics()))
    with counting("partitions", config.partitions) as count:
        return await compute(
            config, since_ms=since_ms, until_ms=until_ms, on_partition=lambda: count(1)
        )
