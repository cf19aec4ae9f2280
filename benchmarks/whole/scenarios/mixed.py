"""T while a broadcast runs on the same workers."""

from benchmarks.whole import broadcasting
from benchmarks.whole.load import OpenLoop, longest_over_time, quantile
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario

_ROUND_SECONDS = 1.0
"""Between looks at how far it is: a look costs the worker a little."""
_MOST_ROUNDS = 900


async def _run(run: Run) -> None:
    seconds = 5.0 if run.is_quick else 20.0
    load = OpenLoop(people=run.people, rate=run.request_rate)
    async with run.lab() as lab:
        workers = [lab.start("decide"), lab.start("email")]
        for each in workers:
            await each.ready()
        async with lab.producing(linger_ms=0) as producing:
            await load.warm_up(producing)
            warmed_up = load.asked
            await load.run(producing, seconds)
            idle = (await load.until_told(lab))[warmed_up:]
            with run.stretch("broadcast", lab, *workers) as stretch:
                await broadcasting.ask(producing)
                rounds, sent, asked = 0, 0, load.asked
                while sent < run.people + asked:
                    if rounds == _MOST_ROUNDS:
                        raise TimeoutError("the broadcast, or what is asked meanwhile, piles up")
                    asked = load.asked  # those of this round may be under way when it ends
                    await load.run(producing, _ROUND_SECONDS)
                    rounds, sent = rounds + 1, await workers[1].told()
                stretch.end(stretch.began + rounds * _ROUND_SECONDS, count=run.people)
        told = await load.until_told(lab)
    busy = [each for each in told if each.intended_ms > idle[-1].intended_ms]
    run.figure("idle_p99", quantile(idle, 0.99))
    run.figure("busy_p99", quantile(busy, 0.99))
    run.figure("busy_p50", quantile(busy, 0.5))
    run.figure("ratio", quantile(busy, 0.99) / quantile(idle, 0.99))
    run.figure("seconds", stretch.seconds)
    run.curve("s of the broadcast · longest wait, ms", longest_over_time(busy))


SCENARIO = Scenario(
    name="mixed",
    measures="T while a broadcast to everybody runs on the same workers: decide and email share "
    "one core, single requests at 200/s",
    figures=(
        Figure(
            name="ratio", measures="p99 during the broadcast, against idle", unit="x",
            better="lower", floor=3, goal=1.5,
        ),
        Figure(name="idle_p99", measures="99 of 100, idle", unit="ms", better="lower"),
        Figure(name="busy_p99", measures="99 of 100, meanwhile", unit="ms", better="lower"),
        Figure(name="busy_p50", measures="half of them, meanwhile", unit="ms", better="lower"),
        Figure(name="seconds", measures="the broadcast took", unit="s", better="lower"),
    ),
    run=_run,
)  # fmt: skip
