"""A worker joins, takes some of the partitions, and dies; the other one takes them over."""

import asyncio
import time
from collections.abc import Collection

from benchmarks.whole.load import OpenLoop, Told, longest_over_time
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario

_BEFORE_SECONDS, _JOINING_SECONDS, _SERVING_SECONDS, _TAKE_OVER_SECONDS = 3.0, 10.0, 5.0, 14.0
_RATE = 50.0
"""A pause is to be seen, so nobody may be short of a core: at 200/s a core is full of two workers."""
_SESSION = {"BENCH_SESSION": "6s"}
"""The shortest that a broker accepts by default; the product's own default is 20 s."""


async def _run(run: Run) -> None:
    load = OpenLoop(people=run.people, rate=_RATE)
    async with run.lab(env=_SESSION) as lab:
        decide, email = lab.start("decide"), lab.start("email")
        await decide.ready()
        await email.ready()
        async with lab.producing(linger_ms=0) as producing:
            await load.warm_up(producing)
            warmed_up_ms = time.time() * 1000
            await load.run(producing, _BEFORE_SECONDS)
            joined_ms = time.time() * 1000
            newcomer = lab.start("decide", 1)
            with run.stretch("joining", lab, decide, email, newcomer) as stretch:
                await load.run(producing, _JOINING_SECONDS)
                await newcomer.ready()
                await load.run(producing, _SERVING_SECONDS)
                seconds = _JOINING_SECONDS + _SERVING_SECONDS
                stretch.end(time.monotonic(), count=round(seconds * _RATE))
            moved = {int(path.name.rpartition("-")[2]) for path in newcomer.stores()}
            killed_ms = time.time() * 1000
            await asyncio.to_thread(newcomer.kill)
            with run.stretch("taking-over", lab, decide, email) as stretch:
                await load.run(producing, _TAKE_OVER_SECONDS)
                stretch.end(time.monotonic(), count=round(_TAKE_OVER_SECONDS * _RATE))
        told = await load.until_told(lab)
    before = [each for each in told if warmed_up_ms <= each.intended_ms < joined_ms]
    since = [each for each in told if each.intended_ms >= joined_ms]
    # What the newcomer had in hand when it was killed waits for the take-over, not for the join.
    joining = [each for each in since if each.accepted_ms < killed_ms]
    dying = [each for each in since if each.accepted_ms >= killed_ms]
    others = set(range(lab.config.partitions)) - moved
    run.figure("moved", _longest(joining, moved))
    run.figure("unmoved", _longest(joining, others))
    run.figure("take_over", _longest(dying, moved))
    run.figure("calm", _longest(before, moved | others))
    run.curve("s · longest wait, ms", longest_over_time(told))


def _longest(told: Collection[Told], partitions: Collection[int]) -> float:
    """The longest wait of them, in seconds."""
    return max(each.waited_ms for each in told if each.partition in partitions) / 1000


SCENARIO = Scenario(
    name="members",
    measures="a second decide joins and is killed for good: the longest wait of a request at "
    "50/s, session timeout 6 s (the broker's least by default); all workers share one core",
    figures=(
        Figure(
            name="moved", measures="it joins, partitions that move", unit="s", better="lower",
            floor=5, goal=1,
        ),
        Figure(
            name="unmoved", measures="it joins, the others", unit="s", better="lower",
            floor=1, goal=0.2,
        ),
        Figure(
            name="take_over", measures="it dies, its partitions are taken over", unit="s",
            better="lower", floor=10, goal=7,
        ),
        Figure(name="calm", measures="before", unit="s", better="lower"),
    ),
    run=_run,
    run_seconds=54,
)  # fmt: skip
