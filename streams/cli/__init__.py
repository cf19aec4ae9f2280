"""The command line. A command is a file beside this one with an `app`, and a line below."""

import importlib
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from streams.cli.errors import EXIT_MISTAKE, words_for

COMMANDS: Mapping[str, str] = {
    "demo": "streams.cli.demo",
    "up": "streams.cli.up",
    "worker": "streams.cli.worker",
    "kafka": "streams.cli.kafka",
    "topics": "streams.cli.topics",
    "config": "streams.cli.config",
    "send": "streams.cli.send",
    "recipients": "streams.cli.recipients",
    "dlq": "streams.cli.dlq",
    "pause": "streams.cli.pause",
    "resume": "streams.cli.resume",
    "show": "streams.cli.show",
    "receipts": "streams.cli.receipts",
    "lookup": "streams.cli.lookup",
    "reconcile": "streams.cli.reconcile",
    "prove": "streams.cli.prove",
    "capacity": "streams.cli.capacity",
    "sandbox": "streams.cli.sandbox",
}
"""In the order of the help. Each is imported when it is asked for: starting Faust for a look at
the dead letters would take a second."""


class _Commands(TyperGroup):
    """`Any` stands for classes that typer keeps to itself."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        app: typer.Typer = importlib.import_module(COMMANDS[cmd_name]).app
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Deliver notifications: push, e-mail, SMS, in-app.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _postrider() -> None:
    """Commands read `faust.yaml`, or the file that POSTRIDER_CONFIG names."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command (that of the command line) and exit by its code.

    A user's mistake is a line on stderr, never a traceback.
    """
    # Without a handler Python would print what a client logs; each command says what matters.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        app(arguments, prog_name="postrider")
    except Exception as error:
        lines = words_for(error)
        if not lines:
            raise  # a bug of ours: its traceback is what we need
        for line in lines:
            print(f"postrider: {line}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
    sys.exit(0)
