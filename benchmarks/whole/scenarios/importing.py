"""An import is applied: profiles, memberships and addresses, by one worker.

A recipient has 3.5 rows on average, a plain one (a mailbox, a name, a zone, wishes) two: rows are
what an import costs, and that they are there is what it is for.
"""

from benchmarks.whole.lab import Lab
from benchmarks.whole.run import Run, Stretch
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import Worker


async def _applied(run: Run, lab: Lab, name: str, *, rows_each: float) -> tuple[Worker, Stretch]:
    """Raises `RuntimeError` where fewer rows were written than that."""
    decide = lab.start("decide")
    await decide.ready()
    before = sum(await decide.metric("rows_total"))
    with run.stretch(name, lab, decide) as stretch:
        stretch.end(await lab.until_idle(decide), count=run.people)
    rows = sum(await decide.metric("rows_total")) - before
    if rows < rows_each * run.people:
        raise RuntimeError(f"{run.people} recipients came to {rows:.0f} rows")
    return decide, stretch


async def _run(run: Run) -> None:
    async with run.lab("unread") as lab:
        before = lab.bytes_in_kafka()
        decide, stretch = await _applied(run, lab, "import", rows_each=3.5)
        run.figure("rate", stretch.rate)
        run.figure("cpu", stretch.per_million())
        run.figure("memory", decide.peak_resident_mb())
        decide.stop()
        run.figure("changelog", (lab.bytes_in_kafka() - before) / run.people)
        on_disk = sum(each.stat().st_size for each in decide.files())
        run.figure("disk", on_disk / run.people)
    async with run.lab("unread-plain") as lab:
        _, stretch = await _applied(run, lab, "plain", rows_each=2.0)
        run.figure("plain_rate", stretch.rate)
        run.figure("plain_cpu", stretch.per_million())


SCENARIO = Scenario(
    name="import",
    measures="an import of recipients that waits in Kafka is applied by one worker on one core",
    figures=(
        Figure(
            name="rate", measures="recipients applied", unit="/s", better="higher",
            floor=30_000, goal=150_000,
        ),
        Figure(name="cpu", measures="worker", unit="CPU s per million", better="lower"),
        Figure(
            name="plain_rate", measures="plain recipients applied", unit="/s", better="higher",
        ),
        Figure(
            name="plain_cpu", measures="worker, plain recipients", unit="CPU s per million",
            better="lower",
        ),
        Figure(
            name="memory", measures="most that the worker held", unit="MB", better="lower",
            floor=600, goal=300,
        ),
        Figure(
            name="changelog", measures="written to Kafka for a recipient, one copy", unit="bytes",
            better="lower",
        ),
        Figure(
            name="disk", measures="of a recipient in the local stores", unit="bytes",
            better="lower",
        ),
    ),
    run=_run,
    run_seconds=68,
)  # fmt: skip
