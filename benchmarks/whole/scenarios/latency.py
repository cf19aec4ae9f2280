"""T: single requests at a steady rate, from the topic to the provider."""

from benchmarks.whole.lab import LONG_LIVED
from benchmarks.whole.load import OpenLoop, quantile
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario

_EASY_RATE = 50.0
"""At which no core is full: what shows is the way itself, not a queue."""
_SHARES = [each / 1000 for each in (*range(0, 1000, 20), 990, 995, 999)]


async def _run(run: Run) -> None:
    seconds = 5.0 if run.is_quick else 30.0
    load = OpenLoop(people=run.people, rate=run.request_rate)
    async with run.lab(java_options=LONG_LIVED) as lab:
        workers = [lab.start("decide"), lab.start("email")]
        for each in workers:
            await each.ready()
        async with lab.producing(linger_ms=0) as producing:
            await load.warm_up(producing)
            if not run.is_quick:
                await load.until_compiled(producing)
            warmed_up = load.asked
            await load.run(producing, seconds, rate=_EASY_RATE)
            easy = load.asked
            with run.stretch("requests", lab, *workers) as stretch:
                await load.run(producing, seconds)
                stretch.end(stretch.began + seconds, count=round(seconds * run.request_rate))
        everything = await load.until_told(lab)
    told, at_ease = everything[easy:], everything[warmed_up:easy]
    run.figure("p50", quantile(told, 0.5))
    run.figure("p99", quantile(told, 0.99))
    run.figure("p999", quantile(told, 0.999))
    run.figure("easy_p50", quantile(at_ease, 0.5))
    run.figure("easy_p99", quantile(at_ease, 0.99))
    run.figure("cpu", stretch.cpu["worker"] / seconds * 100)
    run.curve("share of requests · ms", [(each, quantile(told, each)) for each in _SHARES])


SCENARIO = Scenario(
    name="latency",
    measures="T: single requests at 200/s, open loop, from the instant at which a request is "
    "meant to be sent until the provider has it; decide and email share one core",
    figures=(
        Figure(name="p50", measures="half of them", unit="ms", better="lower", floor=40, goal=12),
        Figure(
            name="p99", measures="99 of 100", unit="ms", better="lower", floor=200, goal=40
        ),
        Figure(name="p999", measures="999 of 1000", unit="ms", better="lower"),
        Figure(name="easy_p50", measures="half of them, at 50/s", unit="ms", better="lower"),
        Figure(name="easy_p99", measures="99 of 100, at 50/s", unit="ms", better="lower"),
        Figure(name="cpu", measures="both workers, of one core", unit="%", better="lower"),
    ),
    run=_run,
    run_seconds=173,
    repeats=5,
)  # fmt: skip
