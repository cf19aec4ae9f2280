"""The same broadcast with few people and with many."""

from benchmarks.whole import broadcasting
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario

_FEW = 100_000
_MAX_BROADCASTS = 10


async def _run(run: Run) -> None:
    few = min(_FEW, run.people // 4)
    # As much work as with many, up to a bound: a short run would be mostly its beginning and end.
    small = await _rates(run, few, broadcasts=min(run.people // few, _MAX_BROADCASTS))
    large = await _rates(run, run.people, broadcasts=1)
    for name in ("fan_out", "send"):
        run.figure(name, 100 * large[name] / small[name])


async def _rates(run: Run, people: int, *, broadcasts: int) -> dict[str, float]:
    async with run.lab(people=people) as lab:
        done = await broadcasting.in_two_halves(
            run, lab, people=people, broadcasts=broadcasts, label=f"-{people}"
        )
    return {"fan_out": done.fan_out.rate, "send": done.send.rate}


SCENARIO = Scenario(
    name="growth",
    measures="the rate of the broadcast with all people, against that with 100,000 of them",
    people=10_000_000,
    figures=(
        Figure(
            name="fan_out", measures="decide + fan_out", unit="%", better="higher",
            floor=60, goal=90,
        ),
        Figure(name="send", measures="send", unit="%", better="higher", floor=60, goal=90),
    ),
    run=_run,
    is_profiled=False,
    run_seconds=65,
)  # fmt: skip
