"""What a cluster has against what the catalogue asks for; pure, each difference with a way out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from streams.names import Names, few
from streams.topics import Layout, RetentionBound, Topic, retention_bounds

Weight = Literal["refused", "unsafe", "note"]
"""No worker starts with it; it may lose or repeat something; it is a choice that is allowed."""

_MORE_IS_FINE = (
    "delete.retention.ms",
    "max.message.bytes",
    "min.insync.replicas",
    "retention.ms",
)


_CREATE = "run postrider topics create, unless ACLs hide what is there"


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the cluster has it."""

    partitions: int
    replication: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the catalogue says."""

    topic: str
    setting: str
    expected: str
    found: str
    weight: Weight
    advice: str

    def __str__(self) -> str:
        return (
            f"{self.topic}: {self.setting} is {self.found}, expected {self.expected}: {self.advice}"
        )


def differences(layout: Layout, names: Names, found: Mapping[str, Found]) -> list[Difference]:
    """The gravest first; `found` is by the names of the cluster."""
    bounds = retention_bounds(layout)
    all_found = [
        difference
        for topic in layout.topics()
        for difference in _of_topic(
            topic, layout, names.physical(topic.name), found, bounds.get(topic.name)
        )
    ]
    order: Mapping[Weight, int] = {"refused": 0, "unsafe": 1, "note": 2}
    return sorted(all_found, key=lambda each: order[each.weight])


def lines(found: Sequence[Difference]) -> list[str]:
    """For a person: a line for each thing to do, however many topics it is to be done to."""
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for each in found:
        key = (each.setting, each.expected, each.found, each.advice)
        alike.setdefault(key, []).append(each.topic)
    return [
        f"{few(topics)}: {setting} is {actual}, expected {expected}: {advice}"
        for (setting, expected, actual, advice), topics in alike.items()
    ]


def _of_topic(
    topic: Topic,
    layout: Layout,
    name: str,
    cluster: Mapping[str, Found],
    bound: RetentionBound | None,
) -> Iterator[Difference]:
    found = cluster.get(name)
    if found is None:
        yield Difference(name, "topic", "there", "missing", "refused", _CREATE)
        return
    yield from _layout(name, found, layout.partitions, layout.replication)
    wanted = layout.settings_of(topic)
    for setting, expected in wanted.items():
        actual = found.settings.get(setting, "not set")
        if setting == "retention.ms":
            yield from _retention(name, expected, actual, bound)
        elif actual != expected:
            weight, why = _judge(topic, setting, expected, actual)
            yield Difference(
                name, setting, expected, actual, weight, why + _command(name, setting, expected)
            )


def _layout(name: str, found: Found, partitions: int, replication: int) -> Iterator[Difference]:
    if found.partitions != partitions:
        yield Difference(
            name, "partitions", str(partitions), str(found.partitions), "refused",
            "the number is for life, since it says where each user's state is: put the cluster's "
            "into `partitions` of faust.yaml, or delete a topic that holds nothing yet and run "
            "postrider topics create",
        )  # fmt: skip
    if found.replication < replication:
        yield Difference(
            name, "replication", str(replication), str(found.replication), "refused",
            "add replicas with kafka-reassign-partitions.sh, or lower kafka.replication of "
            "faust.yaml if losing a broker may lose records",
        )  # fmt: skip
    elif found.replication > replication:
        yield Difference(
            name, "replication", str(replication), str(found.replication), "note",
            "more copies than asked for",
        )  # fmt: skip


def _retention(
    name: str, expected: str, actual: str, bound: RetentionBound | None
) -> Iterator[Difference]:
    kept_ms = float("inf") if actual == "-1" else float(actual) if actual.isdigit() else 0.0
    if bound is not None and kept_ms < bound.least_ms:
        yield Difference(
            name, "retention.ms", f"{bound.least_ms} or more", actual, "unsafe",
            bound.why + _command(name, "retention.ms", expected),
        )  # fmt: skip
    elif bound is not None and bound.most_ms is not None and kept_ms > bound.most_ms:
        yield Difference(
            name, "retention.ms", f"{bound.most_ms} or less", actual, "unsafe",
            bound.why + _command(name, "retention.ms", expected),
        )  # fmt: skip
    elif actual != expected:
        yield Difference(
            name, "retention.ms", expected, actual, "note",
            "workers that are down for longer than a topic is kept miss what was in it",
        )  # fmt: skip


def _judge(topic: Topic, setting: str, expected: str, actual: str) -> tuple[Weight, str]:
    if setting == "cleanup.policy":
        if topic.retention_ms is None:
            return "refused", "what is kept for ever here would be forgotten"
        return "refused", "compaction would lose records that have the same key or none"
    if setting in _MORE_IS_FINE and actual.isdigit() and int(actual) > int(expected):
        return "note", "more than asked for"
    return _WHY[setting]


_WHY: Mapping[str, tuple[Weight, str]] = {
    "message.timestamp.type": (
        "unsafe",
        "ages would be counted by the clocks of producers, and repeats be judged by them",
    ),
    "max.message.bytes": ("unsafe", "a batch of a transaction could be refused"),
    "min.insync.replicas": ("unsafe", "a record could be acknowledged and lost with one broker"),
    "unclean.leader.election.enable": ("unsafe", "acknowledged records could be lost"),
    "delete.retention.ms": ("unsafe", "a copy of the state could keep what was deleted"),
    "segment.ms": ("note", "whole segments are forgotten at once, so records are kept longer"),
    "segment.bytes": ("note", "a restore reads all of the segment that is being written"),
}


def _command(name: str, setting: str, value: str) -> str:
    return f"; mend it: kafka-configs.sh --alter --topic {name} --add-config {setting}={value}"
