"""P: a broadcast by push, a request for each device."""

from benchmarks.whole import broadcasting
from benchmarks.whole.people import user_id
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import until_done

_DEVICES = 50_000
_QUICK_DEVICES = 5_000


async def _run(run: Run) -> None:
    devices = min(_QUICK_DEVICES if run.is_quick else _DEVICES, run.people // 2)
    async with run.lab() as lab:
        decide = lab.start("decide")
        await decide.ready()
        async with lab.producing() as producing:
            # Every second of the people has a device.
            users = [user_id(2 * place + 1) for place in range(devices)]
            await broadcasting.ask_users(producing, users, channel="push")
        await until_done([decide], devices)
        decide.stop()
        sent = await broadcasting.send(run, lab, [lab.start("push")], deliveries=devices)
        lab.must_have_sent(devices)
    run.figure("rate", sent.rate)
    run.figure("cpu", sent.per_million())


SCENARIO = Scenario(
    name="push",
    measures="P: a broadcast by push that was decided before is sent, a request for each device, "
    "by one worker on one core",
    figures=(
        Figure(name="rate", measures="sent", unit="/s", better="higher"),
        Figure(name="cpu", measures="worker", unit="CPU s per million", better="lower"),
    ),
    run=_run,
    run_seconds=100,
    repeats=2,
)  # fmt: skip
