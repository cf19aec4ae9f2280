"""`postrider worker`: one worker of a role, kept alive."""

import logging
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from schemas.delivery import CHANNELS
from streams import logs
from streams.cli.errors import Mistake
from streams.cli.options import CONFIG_FILE, ConfigFile, DataDir, load_config, new_app
from streams.config import Config
from streams.config_errors import ConfigInvalid, ConfigurationRefused
from streams.open_files import allow_most
from streams.patience import Patience, into_log
from streams.reaching import reach
from streams.supervisor import EXIT_CONFIG, SlotLock, SlotTaken, SlotUnwritable, Supervisor
from streams.topic_admin import require
from streams.topology import ROLES

log = logging.getLogger("postrider.worker")

app = new_app()


@app.command(short_help="Run one worker of a role, kept alive.")
def worker(
    role: Annotated[str, typer.Argument(help=f"One of {', '.join(ROLES)}.")],
    slot: Annotated[
        int, typer.Option(min=0, help="The worker's place: keep it, and give each its own.")
    ] = 0,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    level: Annotated[
        str, typer.Option("--log-level", help="DEBUG, INFO, WARNING, ERROR.")
    ] = "INFO",
    once: Annotated[
        bool, typer.Option("--once", help="Do not start it again when it ends.")
    ] = False,
) -> None:
    """Run a worker of ROLE until SIGTERM or Ctrl-C, and start it again when it ends.

    A second process on the same slot is refused. Exit code 78: the configuration or the cluster
    is not what it must be, and starting again would not help.
    """
    if role not in ROLES:
        raise Mistake(f"no role is called {role!r}: choose from {', '.join(ROLES)}")
    # Until the worker has partitions there is nothing to end in order, however long it waits.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    logs.configure(level=level.upper(), role=role, slot=str(slot))
    try:
        # Whatever is wrong with the file is told at once, even while Kafka is away.
        loaded = load_config(config, role=role, data_dir=data_dir, with_templates=role in CHANNELS)
        connections = loaded.runner(role).max_open_calls if role in CHANNELS else 0
        allow_most(partitions=loaded.partitions, connections=connections)
        sys.exit(
            _work(role, slot, loaded) if once else _supervise(role, slot, config, loaded, level)
        )
    except (ConfigInvalid, ConfigurationRefused) as refused:
        for line in refused.problems:
            print(f"postrider: {line}", file=sys.stderr)
        sys.exit(EXIT_CONFIG)


def _supervise(role: str, slot: int, config: Path, loaded: Config, level: str) -> int:
    command = [sys.executable, "-m", "streams.cli", "worker", role, "--slot", str(slot), "--once"]
    command += ["--config", str(config), "--log-level", level]
    command += ["--data-dir", str(loaded.data_dir)]
    try:
        with SlotLock(loaded.data_dir / f"{role}-{slot}"):
            return Supervisor(command).run()
    except (SlotTaken, SlotUnwritable) as error:
        raise Mistake(str(error)) from None


def _work(role: str, slot: int, config: Config) -> int:
    # Imported here: Faust takes half a second, and a mistake in the file should be told at once.
    from streams.assembly import layout_of, plan_for, worker_settings
    from streams.worker import run

    patience = Patience(partial(reach, config.kafka), into_log)

    async def check() -> None:
        layout = layout_of(config)
        borne = await require(config.kafka, role=role, layout=layout, patience=patience)
        for difference in borne:
            log.warning("topic differs", extra={"what": str(difference)})

    settings = worker_settings(config, role=role, slot=slot, patience=patience)
    return run(settings, plan_for(config, role=role, patience=patience), check=check)
