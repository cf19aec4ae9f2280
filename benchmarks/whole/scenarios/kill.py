"""kill -9, and a start on the same slot."""

import asyncio
import time
from collections.abc import Sequence

from benchmarks.whole.lab import PARTITIONS
from benchmarks.whole.load import OpenLoop, Told, longest_over_time
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario

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
                await asyncio.to_thread(worker.kill)
                workers[role] = lab.start(role)
                with run.stretch(f"{role}-killed", lab, *workers.values()) as stretch:
                    await workers[role].ready()
                    await after
                    stretch.end(time.monotonic(), count=round(_AFTER_SECONDS * _RATE))
        told = await load.until_told(lab)
    for role, at_ms in killed.items():
        again = sends_again(told, at_ms)
        run.figure(role, max(again))
        run.figure(f"{role}_first", min(again))
    run.curve("s · longest wait, ms", longest_over_time(told))


def sends_again(told: Sequence[Told], at_ms: float) -> list[float]:
    """Of each partition, the seconds from the kill to its first acceptance of what was asked later."""
    later = [each for each in told if each.intended_ms > at_ms]
    return [
        (min(each.accepted_ms for each in later if each.partition == partition) - at_ms) / 1000
        for partition in range(PARTITIONS)
    ]


SCENARIO = Scenario(
    name="kill",
    measures="kill -9 of a worker that has everybody's state, started again on its slot at once: "
    "until requests made after the kill reach the provider, in all 8 partitions and in the first of "
    "them; both workers share one core, 50/s",
    people=2_860_000,  # who have 10 M rows
    figures=(
        Figure(
            name="decide", measures="decide was killed, the last partition", unit="s",
            better="lower", floor=3, goal=1,
        ),
        Figure(
            name="email", measures="email was killed, the last partition", unit="s",
            better="lower", floor=3, goal=1,
        ),
        Figure(
            name="decide_first", measures="decide was killed, the first partition", unit="s",
            better="lower",
        ),
        Figure(
            name="email_first", measures="email was killed, the first partition", unit="s",
            better="lower",
        ),
    ),
    run=_run,
    run_seconds=40,
    repeats=5,
)  # fmt: skip
