"""`postrider pause`."""

import json
from typing import Annotated

import typer

from schemas.notification import Control
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.cli.pauses import Channel, Provider, Tenant, Type, held, require_known, say, thing
from streams.cli.tables import show_table

app = new_app()


@app.command()
def pause(
    channel: Channel = None,
    type_: Type = None,
    tenant: Tenant = None,
    provider: Provider = None,
    reason: Annotated[str | None, typer.Option(help="Shown by --list.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show what is paused.")] = False,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Hold back a channel, type, tenant or provider.

    In force within a second, until it is resumed. Nothing is lost and nothing else waits: what is
    held back keeps its expiry, and goes on where it was.
    """
    loaded = load_config(config, data_dir=data_dir)
    if list_:
        _show([_row(control) for control in held(loaded)], as_json=as_json)
        return
    what = thing(channel, type_, tenant, provider)
    require_known(loaded, what)
    say(loaded, "pause", what, reason)
    typer.echo(json.dumps({"paused": str(what)}) if as_json else f"{what} is paused")


def _show(rows: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows))
    elif rows:
        show_table(rows, columns=("scope", "name", "since", "reason"))
    else:
        typer.echo("nothing is paused", err=True)


def _row(control: Control) -> dict[str, str]:
    return {
        "scope": control.scope,
        "name": control.name,
        "since": control.occurred_at.isoformat(timespec="seconds"),
        "reason": control.reason or "",
    }
