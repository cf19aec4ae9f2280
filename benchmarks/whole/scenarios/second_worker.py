"""What a second worker of a role costs."""

from benchmarks.whole import broadcasting
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario


async def _run(run: Run) -> None:
    alone = await _cpu(run, workers=1)
    together = await _cpu(run, workers=2)
    for role in ("decide", "email"):
        run.figure(role, 100 * (together[role] / alone[role] - 1))


async def _cpu(run: Run, *, workers: int) -> dict[str, float]:
    """CPU seconds per million of all workers of each role."""
    async with run.lab() as lab:
        done = await broadcasting.in_two_halves(
            run, lab, people=run.people, workers=workers, label=f"-by-{workers}"
        )
    return {"decide": done.fan_out.per_million(), "email": done.send.per_million()}


SCENARIO = Scenario(
    name="second-worker",
    measures="the broadcast with two workers of a role, which share its core, against one",
    figures=(
        Figure(
            name="decide", measures="more CPU per recipient, decide + fan_out", unit="%",
            better="lower", floor=25, goal=10,
        ),
        Figure(
            name="email", measures="more CPU per recipient, send", unit="%", better="lower",
            floor=25, goal=10,
        ),
    ),
    run=_run,
    is_profiled=False,
    run_seconds=75,
    repeats=5,
)  # fmt: skip
