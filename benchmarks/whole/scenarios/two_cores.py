"""The whole of a broadcast, on the whole machine."""

import time

from benchmarks.whole import broadcasting
from benchmarks.whole.lab import BOTH_CORES
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import until_done
from sandbox.ledger import read_ledger

_OF_GOAL = 5_000_000


async def _run(run: Run) -> None:
    async with run.lab() as lab:
        decide, email = lab.start("decide", cores=BOTH_CORES), lab.start("email", cores=BOTH_CORES)
        await decide.ready()
        await email.ready()
        async with lab.producing() as producing:
            with run.stretch("whole", lab, decide, email, is_pinned=False) as stretch:
                asked_ms = time.time() * 1000
                await broadcasting.ask(producing)
                await until_done([email], run.people)
                accepted = [each.at_ms for each in read_ledger(lab.sandbox.ledger_dir)]
                seconds = (max(accepted) - asked_ms) / 1000
                stretch.end(stretch.began + seconds, count=run.people)
        lab.must_have_sent(run.people)
    run.figure("rate", stretch.rate)
    run.figure("seconds", seconds)
    run.figure("first", (min(accepted) - asked_ms) / 1000)


SCENARIO = Scenario(
    name="two-cores",
    measures="a broadcast by e-mail to everybody, from its request to the last accept, with "
    "workers, Kafka and sandbox anywhere on two cores",
    people=5_000_000,
    figures=(
        Figure(
            name="rate", measures="recipients; the bounds are 5 M in 180 s and in 30 s", unit="/s",
            better="higher", floor=_OF_GOAL / 180, goal=_OF_GOAL / 30,
        ),
        Figure(name="seconds", measures="to the last accept", unit="s", better="lower"),
        Figure(name="first", measures="to the first accept", unit="s", better="lower"),
    ),
    run=_run,
    run_seconds=28,
)  # fmt: skip
