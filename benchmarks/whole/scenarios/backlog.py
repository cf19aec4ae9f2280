"""The same broadcasts while ten million deliveries wait for their sender, and while none do."""

from benchmarks.whole import broadcasting
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.worker import until_told

_PEOPLE = 100_000
_MEASURED, _WAITING, _WAITING_IF_QUICK = 10, 100, 10
"""Broadcasts."""


async def _run(run: Run) -> None:
    people = min(_PEOPLE, run.people)
    behind = _WAITING_IF_QUICK if run.is_quick else _WAITING
    measured, deliveries = people * _MEASURED, people * (2 * _MEASURED + behind)
    async with run.lab(people=people) as lab:
        decide = lab.start("decide")
        rates = {}
        for name, broadcasts in (("none", _MEASURED), ("more", behind), ("all", _MEASURED)):
            fanned_out = await broadcasting.fan_out(
                run, lab, [decide], people=people, broadcasts=broadcasts, name=f"fan-out-{name}"
            )
            rates[name] = fanned_out.rate
        decide.stop()
        email = lab.start("email")
        first = await broadcasting.send(run, lab, [email], deliveries=measured, name="send-all")
        await until_told([email], deliveries - measured)
        last = await broadcasting.send(run, lab, [email], deliveries=deliveries, name="send-last")
        run.figure("memory_email", email.peak_resident_mb())
    run.figure("fan_out", 100 * rates["all"] / rates["none"])
    run.figure("send", 100 * first.rate / last.rate)


SCENARIO = Scenario(
    name="backlog",
    measures="broadcasts to 100,000 people while ten million deliveries wait, against none",
    figures=(
        Figure(
            name="fan_out", measures="rate of decide + fan_out, beside those that wait to be sent",
            unit="%", better="higher", floor=90, goal=99,
        ),
        Figure(
            name="send", measures="rate of send, the first million against the last", unit="%",
            better="higher", floor=90, goal=99,
        ),
        Figure(name="memory_email", measures="most that email held", unit="MB", better="lower"),
    ),
    run=_run,
    is_profiled=False,
)  # fmt: skip
