"""`postrider kafka`: the embedded Kafka, alone."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.errors import Mistake
from streams.cli.options import new_app
from streams.embedded_kafka import KAFKA_VERSION, EmbeddedKafka

_LOOK_SECONDS = 0.5

app = new_app()


@app.command()
def kafka(
    data_dir: Annotated[
        Path, typer.Option("--data-dir", envvar="POSTRIDER_DATA", help="Kafka's data is in kafka/.")
    ] = Path(".postrider"),
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="0: a free one, kept from then on.")
    ] = 0,
    heap_mb: Annotated[int, typer.Option(min=128, help="Java's heap.")] = 768,
) -> None:
    """Run Apache Kafka on this machine until Ctrl-C.

    Neither Docker nor Java is needed. Where it listens is printed once it answers. Other
    commands find it by its data folder, as long as the configuration says `bootstrap:
    embedded`. Data survives a restart.
    """
    folder = data_dir / "kafka"
    broker = EmbeddedKafka(folder, port=port, heap_mb=heap_mb)
    typer.echo(f"starting Kafka {KAFKA_VERSION} (the first time its jars are fetched)", err=True)
    with broker:
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        typer.echo(broker.bootstrap)
        while not stopping.wait(_LOOK_SECONDS):
            if not broker.is_running:
                raise Mistake(f"Kafka ended by itself: see {folder / 'kafka.log'}")
        typer.echo("stopping Kafka", err=True)
