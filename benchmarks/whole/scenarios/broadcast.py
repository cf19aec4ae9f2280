"""E: a broadcast by e-mail, decided and fanned out, then sent in batches."""

from benchmarks.whole import broadcasting
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario


async def _run(run: Run) -> None:
    async with run.lab() as lab:
        before = lab.bytes_in_kafka()
        done = await broadcasting.in_two_halves(run, lab, people=run.people)
        run.figure("kafka", (lab.bytes_in_kafka() - before) / run.people)
    run.figure("fan_out", done.fan_out.rate)
    run.figure("send", done.send.rate)
    run.figure("cpu_fan_out", done.fan_out.per_million())
    run.figure("cpu_send", done.send.per_million())
    run.figure("cpu", done.cpu)
    for role, memory_mb in done.memory_mb.items():
        run.figure(f"memory_{role}", memory_mb)


SCENARIO = Scenario(
    name="broadcast",
    measures="E: a broadcast by e-mail to everybody, wishes and a daily cap checked, receipts "
    "written: decide + fan_out, then send, each by one worker on one core",
    figures=(
        Figure(
            name="fan_out", measures="decide + fan_out, recipients", unit="/s", better="higher",
            floor=80_000, goal=250_000,
        ),
        Figure(
            name="send", measures="send, recipients", unit="/s", better="higher",
            floor=80_000, goal=300_000,
        ),
        Figure(
            name="cpu", measures="both workers", unit="CPU s per million", better="lower",
            floor=30, goal=7,
        ),
        Figure(name="cpu_fan_out", measures="decide", unit="CPU s per million", better="lower"),
        Figure(name="cpu_send", measures="email", unit="CPU s per million", better="lower"),
        Figure(
            name="memory_decide", measures="most that decide held, 8 partitions", unit="MB",
            better="lower", floor=600, goal=300,
        ),
        Figure(
            name="memory_email", measures="most that email held, 8 partitions", unit="MB",
            better="lower", floor=600, goal=300,
        ),
        Figure(
            name="kafka", measures="written to Kafka for a recipient, one copy", unit="bytes",
            better="lower",
        ),
    ),
    run=_run,
    run_seconds=33,
    repeats=5,
)  # fmt: skip
