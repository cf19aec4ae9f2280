"""The local copies of one kind are gone, and come back from the changelog."""

from benchmarks.whole import broadcasting
from benchmarks.whole.lab import Lab
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario


async def _run(run: Run) -> None:
    async with run.lab() as lab:
        decide = lab.start("decide")
        # It leaves a transient row for everybody.
        await broadcasting.fan_out(run, lab, [decide], people=run.people, name="fan-out")
        decide.stop()
        for kind in ("transient", "durable"):
            run.figure(kind, await _restored(run, lab, kind))


async def _restored(run: Run, lab: Lab, kind: str) -> float:
    """Rows a second of all partitions at once, in the time that the longest of them took."""
    decide = lab.workers[-1]
    decide.lose(kind)
    decide = lab.start("decide")
    with run.stretch(f"restore-{kind}", lab, decide) as stretch:
        at = await decide.ready()
        rows = round(sum(await decide.metric("restored_rows_total")))
        stretch.end(at, count=rows)
    seconds = max(await decide.metric("restore_seconds"))
    decide.stop()
    return rows / seconds


SCENARIO = Scenario(
    name="stores",
    measures="the stores of decide are removed, and restored from their changelogs: 8 partitions "
    "at once by one worker on one core, in the time of the longest, without the start of the process",
    figures=(
        Figure(
            name="transient", measures="transient rows", unit="/s", better="higher",
            floor=500_000, goal=1_500_000,
        ),
        Figure(
            name="durable", measures="durable rows", unit="/s", better="higher",
            floor=100_000, goal=300_000,
        ),
    ),
    run=_run,
    run_seconds=35,
)  # fmt: skip
