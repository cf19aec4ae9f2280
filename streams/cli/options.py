"""What commands have in common: how they are made, and options that several of them have."""

from pathlib import Path
from typing import Annotated

import typer

from streams.config import NO_SECRETS, Config, ConfigInvalid, load


def new_app(*, has_subcommands: bool = False) -> typer.Typer:
    """Plain text everywhere: an error is a line, and help reads the same in a pipe."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=has_subcommands)


CONFIG_FILE = Path("faust.yaml")

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="POSTRIDER_CONFIG", help="Configuration file."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="POSTRIDER_DATA",
        show_default="the file's `data`",
        help="Where everything that runs here keeps its state.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def load_config(
    path: Path,
    *,
    role: str | None = None,
    data_dir: Path | None = None,
    with_templates: bool = False,
) -> Config:
    """As `streams.config.load`, each fault with the file it is in.

    `with_templates` asks for every template too, before anything is started that would need one.
    """
    try:
        config = load(path, role=role, data_dir=data_dir)
        if role != NO_SECRETS:
            config.kafka.tls()  # a key cannot be looked at without its password
        if with_templates:
            _ = config.templates
    except ConfigInvalid as error:
        raise ConfigInvalid([f"{path}: {each}" for each in error.problems]) from None
    return config
