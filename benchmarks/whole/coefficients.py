"""What `postrider capacity` computes with, taken from results."""

from collections.abc import Sequence

import msgspec

from benchmarks.whole.results import Result
from streams.capacity.coefficients import FILE, Coefficients, Work

_NEEDED = ("import", "broadcast", "singles", "push", "latency")


def update(results: Sequence[Result]) -> None:
    """Write them anew, once everything that they need has been measured."""
    by_name = {each.scenario: each for each in results}
    if all(each in by_name for each in _NEEDED):
        text = msgspec.json.format(msgspec.json.encode(_coefficients(by_name)), indent=1)
        FILE.write_bytes(text + b"\n")


def _coefficients(by_name: dict[str, Result]) -> Coefficients:
    def figure(scenario: str, name: str) -> float:
        return _exact_enough(by_name[scenario].figures[name].median)

    def broker_us(scenario: str, *stretches: str) -> float:
        costs = by_name[scenario].costs
        return _exact_enough(sum(costs[each].cpu_per_million["broker"] for each in stretches))

    return Coefficients(
        measured=_measured([by_name[each] for each in _NEEDED]),
        single=Work(
            decide_us=figure("singles", "cpu_decide"),
            send_us=figure("singles", "cpu_send"),
            broker_us=broker_us("singles", "decide", "send"),
            kafka_bytes=figure("singles", "kafka"),
        ),
        broadcast=Work(
            decide_us=figure("broadcast", "cpu_fan_out"),
            send_us=figure("broadcast", "cpu_send"),
            broker_us=broker_us("broadcast", "fan-out", "send"),
            kafka_bytes=figure("broadcast", "kafka"),
        ),
        push_us=figure("push", "cpu"),
        push_broker_us=broker_us("push", "send"),
        trickle_us=_exact_enough(by_name["latency"].costs["requests"].cpu_per_million["worker"]),
        user_disk_bytes=figure("import", "disk"),
        user_changelog_bytes=figure("import", "changelog"),
        worker_mb=max(figure("import", "memory"), figure("broadcast", "memory_decide"),
                      figure("broadcast", "memory_email")),
    )  # fmt: skip


def _measured(results: Sequence[Result]) -> str:
    """Each with its own commit: they are not measured anew all at once."""
    facts: dict[str, list[str]] = {}
    for each in results:
        fact = f"{each.date[:10]}, {each.people:,} people, commit {each.commit}, "
        fact += f"{each.machine['processor']}, Kafka {each.machine['kafka']}"
        facts.setdefault(fact, []).append(each.scenario)
    return "; ".join(f"{', '.join(names)}: {fact}" for fact, names in facts.items())


def _exact_enough(value: float) -> float:
    return float(f"{value:.3g}")
