"""T while a broadcast runs on the same workers."""

import asyncio
import time

from benchmarks.whole import broadcasting
from benchmarks.whole.lab import LONG_LIVED
from benchmarks.whole.load import OpenLoop, longest_over_time, quantile
from benchmarks.whole.people import user_id
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import until_done

_IDLE_SECONDS, _BUSY_SECONDS = 20.0, 40.0
"""Beside what is urgent a broadcast to everybody takes minutes: the first seconds will do."""
_PRACTISED = 60_000
"""A broker that runs for days has seen a broadcast. The first one in the life of this one had it compile
what a broadcast needs on the core that was to answer: for half a second all waited a fifth of one, and
that alone was one request in a hundred."""


async def _run(run: Run) -> None:
    seconds = 5.0 if run.is_quick else _IDLE_SECONDS
    busy_seconds = 2.0 if run.is_quick else _BUSY_SECONDS
    load = OpenLoop(people=run.people, rate=run.request_rate)
    async with run.lab(java_options=LONG_LIVED) as lab:
        workers = [lab.start("decide"), lab.start("email")]
        for each in workers:
            await each.ready()
        async with lab.producing(linger_ms=0) as producing:
            await load.warm_up(producing)
            if not run.is_quick:
                first = max(run.people - _PRACTISED, run.people // 2)
                some = [user_id(number) for number in range(first, run.people)]
                await asyncio.gather(
                    broadcasting.ask_users(producing, some, channel="email"),
                    load.until_compiled(producing),
                )
                await until_done(workers[1:], load.asked + len(some))
            warmed_up = load.asked
            await load.run(producing, seconds)
            idle = (await load.until_told(lab))[warmed_up:]
            single, sent = load.asked, await workers[1].done()
            with run.stretch("broadcast", lab, *workers) as stretch:
                await broadcasting.ask(producing)
                await load.run(producing, busy_seconds)
                members = await workers[1].done() - sent - (load.asked - single)
                stretch.end(time.monotonic(), count=members)
        told = await load.until_told(lab)
    if members >= run.people:
        raise RuntimeError("the broadcast ended before the load: it is for more people")
    busy = told[single:]
    run.figure("idle_p99", quantile(idle, 0.99))
    run.figure("busy_p99", quantile(busy, 0.99))
    run.figure("busy_p50", quantile(busy, 0.5))
    run.figure("ratio", quantile(busy, 0.99) / quantile(idle, 0.99))
    run.figure("rate", stretch.rate)
    run.curve("s of the broadcast · longest wait, ms", longest_over_time(busy))


SCENARIO = Scenario(
    name="mixed",
    measures="T in the first forty seconds of a broadcast to everybody on the same workers: decide and "
    "email share one core, single requests at 200/s",
    people=5_000_000,
    figures=(
        Figure(
            name="ratio", measures="p99 during the broadcast, against idle", unit="x",
            better="lower", floor=3, goal=1.5,
        ),
        Figure(name="idle_p99", measures="99 of 100, idle", unit="ms", better="lower"),
        Figure(name="busy_p99", measures="99 of 100, meanwhile", unit="ms", better="lower"),
        Figure(name="busy_p50", measures="half of them, meanwhile", unit="ms", better="lower"),
        Figure(name="rate", measures="of the broadcast, sent meanwhile", unit="/s", better="higher"),
    ),
    run=_run,
    run_seconds=175,
)  # fmt: skip
