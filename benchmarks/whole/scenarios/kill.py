"""kill -9, and a start on the same slot."""

import asyncio
import time

from benchmarks.whole.lab import Lab
from benchmarks.whole.load import OpenLoop, longest_over_time
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import Worker

_BEFORE_SECONDS, _AFTER_SECONDS = 3.0, 6.0
_RATE = 50.0
"""As where workers come and go: what is measured is a start, not how a full core shares itself."""


async def _run(run: Run) -> None:
    load = OpenLoop(people=run.people, rate=_RATE)
    async with run.lab() as lab:
        workers = {role: lab.start(role) for role in ("decide", "email")}
        for each in workers.values():
            await each.ready()
        async with lab.producing(linger_ms=0) as producing:
            await load.warm_up(producing)
            killed = {}
            for role, worker in workers.items():
                await load.run(producing, _BEFORE_SECONDS)
                after = asyncio.create_task(load.run(producing, _AFTER_SECONDS))
                killed[role] = time.time() * 1000
                await _kill_and_start(lab, role, worker)
                await after
        told = await load.until_told(lab)
    for role, at_ms in killed.items():
        first = min(each.accepted_ms for each in told if each.intended_ms > at_ms)
        run.figure(role, (first - at_ms) / 1000)
    run.curve("s · longest wait, ms", longest_over_time(told))


async def _kill_and_start(lab: Lab, role: str, worker: Worker) -> None:
    await asyncio.to_thread(worker.kill)
    await lab.start(role).ready()


SCENARIO = Scenario(
    name="kill",
    measures="kill -9 of a worker that has everybody's state, started again on its slot at once: "
    "until a request made after the kill reaches the provider; both workers share one core, 50/s",
    figures=(
        Figure(
            name="decide", measures="decide was killed", unit="s", better="lower", floor=3, goal=1
        ),
        Figure(
            name="email", measures="email was killed", unit="s", better="lower", floor=3, goal=1
        ),
    ),
    run=_run,
)  # fmt: skip
