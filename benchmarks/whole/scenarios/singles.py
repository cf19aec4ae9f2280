"""R: requests for single users that wait in Kafka, one record each.

Batch records of requests are no feature of the product yet, so they are not measured.
"""

import random

from benchmarks.whole import broadcasting
from benchmarks.whole.lab import Lab
from benchmarks.whole.load import request
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import until_told

_REQUESTS = 100_000
_QUICK_REQUESTS = 10_000


async def _run(run: Run) -> None:
    count = min(_QUICK_REQUESTS if run.is_quick else _REQUESTS, run.people)
    async with run.lab() as lab:
        await _write(lab, count, run.people)
        before = lab.bytes_in_kafka()
        decide = lab.start("decide")
        await decide.ready()
        told = await decide.told()
        with run.stretch("decide", lab, decide) as decided:
            decided.end(await until_told([decide], count), count=count - told)
        decide.stop()
        email = lab.start("email")
        sent = await broadcasting.send(run, lab, [email], deliveries=count)
        run.figure("kafka", (lab.bytes_in_kafka() - before) / count)
    run.figure("decide", decided.rate)
    run.figure("send", sent.rate)
    run.figure("cpu_decide", decided.per_million())
    run.figure("cpu_send", sent.per_million())


async def _write(lab: Lab, count: int, people: int) -> None:
    async with lab.producing() as producing:
        for number in random.Random(count).sample(range(people), count):
            await producing.send(request(number, f"order-{number}"))
        await producing.flush()


SCENARIO = Scenario(
    name="singles",
    measures="R: requests for single users at random, caps checked, one record each, waiting in "
    "Kafka: decide, then send by e-mail, each by one worker on one core",
    figures=(
        Figure(
            name="decide", measures="decided", unit="/s", better="higher",
            floor=6_000, goal=15_000,
        ),
        Figure(
            name="send", measures="sent", unit="/s", better="higher", floor=6_000, goal=15_000
        ),
        Figure(name="cpu_decide", measures="decide", unit="CPU s per million", better="lower"),
        Figure(name="cpu_send", measures="email", unit="CPU s per million", better="lower"),
        Figure(
            name="kafka", measures="written to Kafka for a request, itself left out, one copy",
            unit="bytes", better="lower",
        ),
    ),
    run=_run,
)  # fmt: skip
