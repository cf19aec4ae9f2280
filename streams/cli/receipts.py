"""`postrider receipts`: outcomes as they happen."""

import asyncio
import contextlib
import signal
from typing import Annotated, get_args

import msgspec
import typer

from policies.clock import SystemClock
from schemas.delivery import CHANNELS
from schemas.ids import partition_of
from schemas.receipt import Receipt, Status, decode_receipt
from schemas.topics import RECEIPTS
from streams.cli.clients import patience_of
from streams.cli.errors import Mistake
from streams.cli.laid_out import require_topics
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.cli.values import past_ms
from streams.config import Config
from streams.receipt_tail import follow

app = new_app(has_subcommands=True)

_STATUSES = (*get_args(Status), "duplicate")
_COLOURS = {
    "sent": typer.colors.GREEN,
    "delivered": typer.colors.GREEN,
    "failed": typer.colors.RED,
    "bounced": typer.colors.RED,
    "rejected": typer.colors.RED,
    "in_doubt": typer.colors.MAGENTA,
    "deferred": typer.colors.YELLOW,
}


@app.callback()
def receipts() -> None:
    """Follow the receipts."""


@app.command()
def tail(
    user: Annotated[str | None, typer.Option(metavar="USER_ID", help="Of this user only.")] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(metavar="STATUS", help=f"Repeatable: {', '.join(_STATUSES)}."),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="CHANNEL", help=f"Repeatable: {', '.join(CHANNELS)}."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Begin there: an instant, or how long ago (2h)."),
    ] = None,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print each receipt as it is committed, from now on, until Ctrl-C.

    With --json each line is the receipt as it is on the topic.
    """
    _require("--status", status, _STATUSES)
    _require("--channel", channel, CHANNELS)
    since_ms = None if since is None else past_ms("--since", since, now_ms=SystemClock().now_ms())
    loaded = load_config(config, data_dir=data_dir)
    wanted = _Wanted(user, status, channel)
    asyncio.run(_tail(loaded, wanted, since_ms, as_json))


async def _tail(config: Config, wanted: "_Wanted", since_ms: int | None, as_json: bool) -> None:
    await require_topics(config, RECEIPTS)

    async def print_all() -> None:
        async for value in follow(
            partitions=wanted.partitions(config.partitions),
            since_ms=since_ms,
            names=config.kafka.names,
            connection=config.kafka.connection(),
            patience=patience_of(config),
        ):
            receipt = decode_receipt(value)
            if wanted.is_met_by(receipt):
                typer.echo(value if as_json else _line(receipt))

    printing = asyncio.create_task(print_all())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, printing.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await printing


class _Wanted(msgspec.Struct, frozen=True):
    """Which receipts to print."""

    user: str | None
    statuses: list[str] | None
    channels: list[str] | None

    def partitions(self, count: int) -> range:
        if self.user is None:
            return range(count)
        home = partition_of(self.user, count)
        return range(home, home + 1)

    def is_met_by(self, receipt: Receipt) -> bool:
        return (
            self.user in (None, receipt.user_id)
            and (not self.statuses or receipt.status in self.statuses)
            and (not self.channels or receipt.channel in self.channels)
        )


def _require(option: str, given: list[str] | None, known: tuple[str, ...]) -> None:
    for each in given or ():
        if each not in known:
            raise Mistake(f"{option}: no {each!r}; expected one of {', '.join(known)}")


def _line(receipt: Receipt) -> str:
    """Instant, channel, status, whom, what about; then why and by whom, and the id to ask for."""
    colour = _COLOURS.get(receipt.status)
    said = [
        receipt.occurred_at,
        f"{receipt.channel or receipt.kind:<7}",
        typer.style(f"{receipt.status:<10}", fg=colour),
        receipt.user_id or "-",
        receipt.type,
    ]
    if receipt.reason:
        said.append(f"({receipt.reason})")
    if receipt.provider:
        said.append(f"by {receipt.provider} {receipt.provider_code}".rstrip())
    said.append(receipt.notification_id or receipt.broadcast_id)
    return " ".join(said)
