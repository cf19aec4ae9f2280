"""`postrider resume`."""

import json

import typer

from streams.cli.errors import Mistake
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.cli.pauses import Channel, Provider, Tenant, Thing, Type, held, say, thing

app = new_app()


@app.command()
def resume(
    channel: Channel = None,
    type_: Type = None,
    tenant: Tenant = None,
    provider: Provider = None,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let go on what `pause` held back.

    What waited goes out at the rate that its provider allows, not as a burst.
    """
    loaded = load_config(config, data_dir=data_dir)
    what = thing(channel, type_, tenant, provider)
    paused = [Thing(control.scope, control.name) for control in held(loaded)]
    if what not in paused:
        rest = f"; paused are {', '.join(map(str, paused))}" if paused else ", nor anything else"
        raise Mistake(f"{what} is not paused{rest}")
    say(loaded, "resume", what)
    typer.echo(json.dumps({"resumed": str(what)}) if as_json else f"{what} goes on")
