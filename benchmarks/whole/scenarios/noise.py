"""A/A: the broadcast twice, which should be the same."""

from benchmarks.whole import broadcasting
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario


async def _run(run: Run) -> None:
    first = await _measure(run, "a")
    second = await _measure(run, "b")
    for name, value in first.items():
        run.figure(name, 100 * second[name] / value)


async def _measure(run: Run, name: str) -> dict[str, float]:
    async with run.lab() as lab:
        done = await broadcasting.in_two_halves(run, lab, people=run.people, label=f"-{name}")
    return {"fan_out": done.fan_out.rate, "send": done.send.rate, "cpu": done.cpu}


SCENARIO = Scenario(
    name="noise",
    measures="A/A: the broadcast twice in a row, the second against the first; a difference "
    "smaller than twice the range here is no difference",
    figures=(
        Figure(name="fan_out", measures="rate of fan_out", unit="%", better="higher"),
        Figure(name="send", measures="rate of send", unit="%", better="higher"),
        Figure(name="cpu", measures="CPU of both workers", unit="%", better="lower"),
    ),
    run=_run,
    is_profiled=False,
    run_seconds=65,
)  # fmt: skip
