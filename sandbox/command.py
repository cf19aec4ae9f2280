"""The command: `postrider sandbox`, `python -m sandbox`."""

import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from sandbox.faults import FaultScript, read_script
from sandbox.server import Sandbox


def sandbox(
    ledger: Annotated[
        Path, typer.Option(help="Directory of the ledger of accepted messages.")
    ] = Path(".postrider/sandbox/ledger"),
    faults: Annotated[
        Path | None, typer.Option(help="Fault script (YAML or JSON) to start with.", exists=True)
    ] = None,
    announce: Annotated[
        Path, typer.Option(help="Write URLs and credentials to this JSON file once it serves.")
    ] = Path(".postrider/sandbox/sandbox.json"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    page_port: Annotated[int, typer.Option(help="Port of the page; 0 is any free one.")] = 0,
    sendgrid_port: Annotated[int, typer.Option(help="Port of SendGrid's API.")] = 0,
    twilio_port: Annotated[int, typer.Option(help="Port of Twilio's API.")] = 0,
    fcm_port: Annotated[int, typer.Option(help="Port of FCM's API and token endpoint.")] = 0,
    tethered: Annotated[
        bool, typer.Option("--tethered", help="Stop when standard input closes.")
    ] = False,
) -> None:
    """Stand in for every provider: SendGrid, Twilio and FCM on the wire, messages on a page.

    Accepted messages are kept in the ledger and shown on the page as mailbox, phone and SMS.
    Faults come from a script, from the control API, or from addresses like
    fail-503@example.com.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        script = read_script(faults) if faults else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from error
    ports = {
        "page": page_port,
        "sendgrid": sendgrid_port,
        "twilio": twilio_port,
        "fcm": fcm_port,
    }
    announce.unlink(missing_ok=True)  # of a life that was killed: nobody is there any more
    try:
        uvloop.run(_serve(Sandbox(ledger, host=host, ports=ports), script, announce, tethered))
    except OSError as error:
        typer.echo(f"sandbox: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        announce.unlink(missing_ok=True)


async def _serve(
    server: Sandbox, script: FaultScript | None, announce: Path, tethered: bool
) -> None:
    tune_garbage_collection()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    if tethered:
        descriptor = sys.stdin.fileno()
        loop.add_reader(descriptor, _stop_at_end, descriptor, stopping)
    async with server:
        if script is not None:
            server.script(script)
        announce.parent.mkdir(parents=True, exist_ok=True)
        server.announce(announce)
        for name in ("page", "sendgrid", "twilio", "fcm"):
            typer.echo(f"{name:9} {server.url(name)}")
        await stopping.wait()


def tune_garbage_collection() -> None:
    """A batch makes thousands of objects that are all gone at its end: do not look among them."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _stop_at_end(descriptor: int, stopping: asyncio.Event) -> None:
    if not os.read(descriptor, 4096):
        asyncio.get_running_loop().remove_reader(descriptor)
        stopping.set()
