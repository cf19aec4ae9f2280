"""`postrider capacity`: how many workers, partitions and disks a rate asks for."""

from collections.abc import Sequence
from typing import Annotated

import typer

from schemas.delivery import CHANNELS, Channel
from streams.capacity.coefficients import measured
from streams.capacity.plan import Need, Plan, plan
from streams.cli.errors import Mistake
from streams.cli.options import new_app
from streams.cli.tables import show_table
from streams.cli.values import rate

app = new_app()
_NOTHING = "none"


@app.command(short_help="Tell how many workers and brokers a rate asks for.")
def capacity(
    users: Annotated[int, typer.Option(min=1, help="Recipients that are known.")],
    single: Annotated[
        str, typer.Option("--rate", metavar="RATE", help="Single requests at the peak: 2000/s.")
    ],
    broadcast: Annotated[
        str,
        typer.Option(
            "--broadcast-rate", metavar="RATE", help="Recipients of broadcasts at the peak."
        ),
    ] = "",
    channels: Annotated[
        list[str] | None,
        typer.Option(
            "--channel-rate",
            metavar="CHANNEL=RATE",
            help="What else is sent at the peak, push=500/s; email=100/s or none where not all is.",
            show_default="all by e-mail",
        ),
    ] = None,
    replication: Annotated[int, typer.Option(min=1, help="Copies in Kafka.")] = 3,
    busy: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="Share of its core that a worker may use.")
    ] = 0.6,
    average: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The average of a week, as a share of the peak.")
    ] = 0.25,
) -> None:
    """Compute a plan from coefficients that `make bench` has measured, and say what it assumes."""
    need = Need(
        users=users,
        single_rate=_a_second("--rate", single),
        broadcast_rate=_a_second("--broadcast-rate", broadcast) if broadcast else 0.0,
        channel_rates=_by_channel(channels or ()),
        busy_share=busy,
        average_share=average,
        replication=replication,
    )
    made = plan(need, measured())
    show_table(
        [{"what": what, "how_many": how_many} for what, how_many in _rows(made)],
        columns=("what", "how_many"),
    )
    typer.echo("\nassuming:")
    for each in made.assumptions:
        typer.echo(f"- {each}")


def _rows(made: Plan) -> Sequence[tuple[str, str]]:
    workers = [(f"workers of {role}", f"{count:,}") for role, count in made.workers.items()]
    return [
        *workers,
        ("partitions", f"{made.partitions:,}"),
        ("cores of brokers", f"{made.broker_cores:,}"),
        ("written to Kafka", f"{made.written_mb_s:,.1f} MB/s"),
        ("copied between brokers", f"{made.replicated_mb_s:,.1f} MB/s"),
        ("disk of all brokers", f"{made.broker_disk_gb:,.1f} GB"),
        ("disk of each worker of decide", f"{made.worker_disk_gb:,.1f} GB"),
        ("disk of all workers that send", f"{made.ledger_disk_gb:,.1f} GB"),
        ("memory of each worker", f"{made.worker_memory_mb:,.0f} MB"),
    ]


def _a_second(option: str, text: str) -> float:
    limit = rate(option, text)
    return limit.count / limit.window_seconds


def _by_channel(texts: Sequence[str]) -> dict[Channel, float]:
    known = {str(each): each for each in CHANNELS}
    rates: dict[Channel, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            raise Mistake(f"--channel-rate: there is no channel {name}: {', '.join(CHANNELS)}")
        rates[known[name]] = 0.0 if value == _NOTHING else _a_second("--channel-rate", value)
    return rates
