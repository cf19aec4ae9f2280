"""What is measured, one scenario a module; a new one is a line below."""

from benchmarks.whole.scenario import Scenario
from benchmarks.whole.scenarios import (
    backlog,
    broadcast,
    growth,
    importing,
    kill,
    latency,
    members,
    mixed,
    noise,
    push,
    second_worker,
    singles,
    stores,
    two_cores,
)

SCENARIOS: dict[str, Scenario] = {
    each.SCENARIO.name: each.SCENARIO
    for each in (
        importing, broadcast, push, singles, latency, mixed, two_cores, kill, stores, members,
        second_worker, growth, backlog, noise,
    )
}  # fmt: skip
