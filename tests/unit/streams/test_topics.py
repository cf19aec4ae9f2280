"""The catalogue of topics, and what is said of a cluster that differs from it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from agents.settlement import LEDGER_RETENTION_MS
from policies.stops import HORIZON_MS
from schemas import topics
from schemas.catalogue import PUBLIC_TOPICS
from streams.names import Names, changelog
from streams.topic_check import Difference, Found, differences, lines
from streams.topics import DAY_MS, Layout, longest_row_ms, retention_bounds
from streams.topology import DECIDE, ROLES
from tables.state import Kind

LAYOUT = Layout(partitions=8, replication=3, min_insync_replicas=2)
NAMES = Names("eu.")


def cluster(layout: Layout = LAYOUT) -> dict[str, Found]:
    """As `topics create` leaves it."""
    return {
        NAMES.physical(topic.name): Found(
            layout.partitions, layout.replication, layout.settings_of(topic)
        )
        for topic in layout.topics()
    }


def having(topic: str, changed: Mapping[str, str]) -> list[Difference]:
    """What is said when one topic has other settings."""
    found = cluster()
    name = NAMES.physical(topic)
    found[name] = replace(found[name], settings={**found[name].settings, **changed})
    return differences(LAYOUT, NAMES, found)


def test_every_topic_is_named_once() -> None:
    names = [topic.name for topic in LAYOUT.topics()]

    assert len(names) == len(set(names))
    assert {topic.name for topic in PUBLIC_TOPICS} <= set(names)
    assert {changelog(role, kind) for role in ROLES for kind in Kind} <= set(names)


def test_a_topic_of_ones_own_brings_its_forwarding_and_replaces_what_is_not_used() -> None:
    layout = replace(LAYOUT, ingress=("orders", topics.REQUESTED["bulk"]))

    names = {topic.name for topic in layout.topics()}

    assert {"orders", "orders.forwarded", "notifications.requested.bulk.forwarded"} <= names
    assert topics.REQUESTED["critical"] not in names
    assert topics.forwarded(topics.REQUESTED["critical"]) not in names


def test_the_catalogue_keeps_its_own_bounds() -> None:
    kept = {topic.name: topic.retention_ms for topic in LAYOUT.topics()}

    for name, bound in retention_bounds(LAYOUT).items():
        retention_ms = kept[name]
        assert retention_ms is not None, name
        assert retention_ms >= bound.least_ms, name
        assert bound.most_ms is None or retention_ms <= bound.most_ms, name


def test_a_ledger_row_outlives_whatever_may_still_wait() -> None:
    kept = {topic.name: topic.retention_ms for topic in LAYOUT.topics()}

    assert HORIZON_MS < LEDGER_RETENTION_MS
    assert (kept[topics.DEAD_LETTERS] or 0) < LEDGER_RETENTION_MS


def test_a_decision_is_remembered_for_a_repeat_that_waited_as_long_as_it_could() -> None:
    layout = replace(LAYOUT, dedup_window_ms=7 * DAY_MS)

    assert longest_row_ms(DECIDE, layout) == 14 * DAY_MS


def test_a_cluster_like_the_catalogue_differs_in_nothing() -> None:
    assert differences(LAYOUT, NAMES, cluster()) == []


def test_packed_changelogs_are_never_compacted_and_state_for_ever_never_deleted() -> None:
    policies = {
        topic.name: LAYOUT.settings_of(topic)["cleanup.policy"] for topic in LAYOUT.topics()
    }

    for role in ROLES:
        assert policies[changelog(role, Kind.TRANSIENT)] == "delete"
        assert policies[changelog(role, Kind.DURABLE)] == "compact"


def test_a_missing_topic_is_refused_with_the_command_that_creates_it() -> None:
    found = cluster()
    del found["eu.receipts"]

    (difference,) = differences(LAYOUT, NAMES, found)

    assert (difference.topic, difference.weight) == ("eu.receipts", "refused")
    assert "postrider topics create" in str(difference)


@pytest.mark.parametrize(
    ("found", "setting", "weight"),
    [
        (Found(4, 3), "partitions", "refused"),
        (Found(12, 3), "partitions", "refused"),  # more do not help: users would move
        (Found(8, 2), "replication", "refused"),
        (Found(8, 5), "replication", "note"),
    ],
)
def test_another_layout_is_told(found: Found, setting: str, weight: str) -> None:
    topic = next(each for each in LAYOUT.topics() if each.name == topics.RECEIPTS)
    whole = replace(found, settings=LAYOUT.settings_of(topic))

    (difference,) = differences(LAYOUT, NAMES, cluster() | {"eu.receipts": whole})

    assert (difference.setting, difference.weight) == (setting, weight)


@pytest.mark.parametrize(
    ("topic", "setting", "value", "weight"),
    [
        # Rows and records would vanish.
        ("decide-transient-changelog", "cleanup.policy", "compact", "refused"),
        ("decide-durable-changelog", "cleanup.policy", "delete", "refused"),
        ("notifications.requested", "cleanup.policy", "compact,delete", "refused"),
        # Repeats are judged by the broker's clock.
        ("notifications.requested", "message.timestamp.type", "CreateTime", "unsafe"),
        # Acknowledged records could be lost.
        ("receipts", "min.insync.replicas", "1", "unsafe"),
        ("receipts", "min.insync.replicas", "3", "note"),
        ("receipts", "unclean.leader.election.enable", "true", "unsafe"),
        ("receipts", "max.message.bytes", "1000", "unsafe"),
        ("receipts", "max.message.bytes", "10485880", "note"),
        # Stops are remembered as long as deliveries may wait.
        ("recipients.changed", "retention.ms", str(6 * DAY_MS), "unsafe"),
        ("recipients.changed", "retention.ms", "-1", "note"),
        ("recipients.derived", "retention.ms", str(6 * DAY_MS), "unsafe"),
        ("notifications.cancelled", "retention.ms", str(6 * DAY_MS), "unsafe"),
        # A changelog outlives its rows.
        ("push-transient-changelog", "retention.ms", str(8 * DAY_MS), "unsafe"),
        ("push-transient-changelog", "retention.ms", str(30 * DAY_MS), "note"),
        # A letter never outlives what is remembered of its replay.
        ("dead-letters", "retention.ms", str(9 * DAY_MS), "unsafe"),
        ("dead-letters", "retention.ms", "-1", "unsafe"),
        ("dead-letters", "retention.ms", str(DAY_MS), "note"),
        # How long anything else is kept is the operator's choice.
        ("receipts", "retention.ms", str(DAY_MS), "note"),
        ("decide-durable-changelog", "delete.retention.ms", "3600000", "unsafe"),
    ],
)
def test_another_setting_is_weighed(topic: str, setting: str, value: str, weight: str) -> None:
    (difference,) = having(topic, {setting: value})

    assert (difference.topic, difference.setting) == (NAMES.physical(topic), setting)
    assert (difference.found, difference.weight) == (value, weight)


def test_what_is_unsafe_comes_with_the_command_that_mends_it() -> None:
    (difference,) = having("receipts", {"min.insync.replicas": "1"})

    assert "kafka-configs.sh --alter --topic eu.receipts" in difference.advice
    assert "min.insync.replicas=2" in difference.advice


def test_the_gravest_difference_comes_first() -> None:
    changed = {"retention.ms": "1", "min.insync.replicas": "1", "cleanup.policy": "compact"}

    assert [each.weight for each in having("receipts", changed)] == ["refused", "unsafe", "note"]


def test_an_empty_cluster_is_told_in_one_line() -> None:
    (line,) = lines(differences(LAYOUT, NAMES, {}))

    assert line.startswith("eu.notifications.requested.critical, eu.notifications.requested, eu.")
    assert line.endswith(
        f" and {len(LAYOUT.topics()) - 3} more: topic is missing, expected there: "
        "run postrider topics create, unless ACLs hide what is there"
    )


def test_a_cluster_laid_out_otherwise_is_told_in_one_line_for_each_thing_to_do() -> None:
    found = {name: replace(each, partitions=4) for name, each in cluster().items()}
    found["eu.receipts"] = replace(found["eu.receipts"], replication=1)

    partitions, replication = lines(differences(LAYOUT, NAMES, found))

    assert "partitions is 4, expected 8: the number is for life" in partitions
    assert replication.startswith("eu.receipts: replication is 1, expected 3: add replicas")
