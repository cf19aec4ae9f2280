"""`postrider config`: is `faust.yaml` right, and what does it mean?"""

import json
from pathlib import Path
from typing import Annotated

import typer
import yaml

from streams.cli.options import CONFIG_FILE, AsJson, load_config, new_app
from streams.config import EVERYTHING, NO_SECRETS

app = new_app(has_subcommands=True)


@app.callback()
def config() -> None:
    """Look at the configuration."""


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(envvar="POSTRIDER_CONFIG", help="Configuration file.")
    ] = CONFIG_FILE,
    without_secrets: Annotated[
        bool,
        typer.Option("--without-secrets", help="Where the secrets are not at hand, as in CI."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Validate the file, compile all templates, and print what is in force, secrets masked.

    Faults are printed one a line, each with its place and what is expected there; exit code 2.
    """
    role = NO_SECRETS if without_secrets else EVERYTHING
    loaded = load_config(file, role=role, with_templates=True)
    effective = loaded.masked()
    if as_json:
        effective = json.dumps(yaml.safe_load(effective), ensure_ascii=False, indent=2)
    typer.echo(effective.rstrip())
