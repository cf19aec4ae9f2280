"""The same broadcasts while ten million deliveries wait for their sender, and while none do, before and
after: what an hour does to the machine meanwhile is no one's growth."""

from benchmarks.whole import broadcasting
from benchmarks.whole.lab import Lab
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import until_silent

_PEOPLE = 100_000
_MEASURED, _WAITING, _WAITING_IF_QUICK = 10, 100, 10
"""Broadcasts."""


async def _run(run: Run) -> None:
    people = min(_PEOPLE, run.people)
    async with run.lab(people=people) as lab:
        before = await _rates(run, lab, people, label="-before")
        lab.must_have_sent(people * _MEASURED)
        decide = lab.start("decide")
        await broadcasting.fan_out(
            run, lab, [decide], people=people, name="fan-out-waiting",
            broadcasts=_WAITING_IF_QUICK if run.is_quick else _WAITING,
        )  # fmt: skip
        decide.stop()
        beside = await _rates(run, lab, people, label="-beside")
        email = lab.start("email")
        await email.ready()
        await until_silent(email)
        run.figure("memory_email", email.peak_resident_mb())
        email.stop()
        after = await _rates(run, lab, people, label="-after")
    for name, rate in beside.items():
        run.figure(name, 100 * rate / ((before[name] + after[name]) / 2))


async def _rates(run: Run, lab: Lab, people: int, *, label: str) -> dict[str, float]:
    """By workers that have just started, each time."""
    deliveries = people * _MEASURED
    decide = lab.start("decide")
    fanned_out = await broadcasting.fan_out(
        run, lab, [decide], people=people, broadcasts=_MEASURED, name=f"fan-out{label}"
    )
    decide.stop()
    email = lab.start("email")
    sent = await broadcasting.send(run, lab, [email], deliveries=deliveries, name=f"send{label}")
    email.stop()
    return {"fan_out": fanned_out.rate, "send": sent.rate}


SCENARIO = Scenario(
    name="backlog",
    measures="broadcasts to 100,000 people while ten million deliveries wait, against none",
    figures=(
        Figure(
            name="fan_out", measures="rate of decide + fan_out, beside those that wait to be sent",
            unit="%", better="higher", floor=90, goal=99,
        ),
        Figure(
            name="send", measures="rate of send, with those behind that wait", unit="%",
            better="higher", floor=90, goal=99,
        ),
        Figure(name="memory_email", measures="most that email held", unit="MB", better="lower"),
    ),
    run=_run,
    run_seconds=330,
    repeats=2,
)  # fmt: skip
