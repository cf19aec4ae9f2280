"""What `postrider capacity` computes with, taken from results."""

from collections.abc import Sequence

import msgspec

from benchmarks.whole.results import Result
from streams.capacity.coefficients import FILE, Coefficients, Work

_NEEDED = ("import", "broadcast", "singles", "push")


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

    newest = by_name["broadcast"]
    return Coefficients(
        measured=f"{newest.date[:10]}, {newest.people:,} people, commit {newest.commit}, "
        f"{newest.machine['processor']}, Kafka {newest.machine['kafka']}",
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
        user_disk_bytes=figure("import", "disk"),
        user_changelog_bytes=figure("import", "changelog"),
        worker_mb=max(figure("import", "memory"), figure("broadcast", "memory_decide"),
                      figure("broadcast", "memory_email")),
    )  # fmt: skip


def _exact_enough(value: float) -> float:
    return float(f"{value:.3g}")
