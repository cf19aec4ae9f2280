"""Every topic there is, with the settings that its readers rely on.

Names are logical; a `Layout` says how many partitions and copies an installation has. Two
rules of retention hold everything together: what can stop a delivery is kept for as long as a
delivery may wait, and a changelog for longer than the longest of its rows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from agents.settlement import LEDGER_RETENTION_MS
from policies.stops import HORIZON_MS
from schemas import topics
from schemas.catalogue import PUBLIC_TOPICS
from schemas.delivery import CHANNELS, LANES
from streams.names import changelog
from streams.topology import DECIDE, ROLES
from tables import addresses, fallbacks
from tables.state import Kind

DAY_MS = 86_400_000
TOMBSTONES_MS = DAY_MS
"""A local copy older than half of it is rebuilt: it may have missed deletions."""
_SEGMENT_MS = DAY_MS
"""Kafka forgets whole segments: nothing is kept for more than this longer than its retention."""
_CHANGELOG_SEGMENT_BYTES = 64 * 1024 * 1024
"""The segment being written is never compacted, and a restore reads all of it."""
MAX_BATCH_BYTES = 1_048_588
"""What Kafka takes by default: a producer's batch of many small records counts as one."""

Retention = Literal["delete", "compact"]


@dataclass(frozen=True, slots=True)
class Topic:
    """What one topic is for, and the settings without which it would not do."""

    name: str
    purpose: str
    key: str
    writers: str
    retention_ms: int | None = 7 * DAY_MS
    """None: compacted, the last record of each key is kept for ever."""
    is_changelog: bool = False

    def settings(self, *, min_insync_replicas: int) -> dict[str, str]:
        """Kafka's settings of this topic, as they are created and checked."""
        settings = {
            # The broker's clock: ages are counted by it, and a worker whose clock is wrong
            # can make neither a record nor a row of a changelog disappear early.
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MAX_BATCH_BYTES),
            "min.insync.replicas": str(min_insync_replicas),
            "unclean.leader.election.enable": "false",
            "segment.ms": str(_SEGMENT_MS),
        }
        if self.is_changelog:
            settings["segment.bytes"] = str(_CHANGELOG_SEGMENT_BYTES)
        if self.retention_ms is None:
            return settings | {
                "cleanup.policy": "compact",
                "delete.retention.ms": str(TOMBSTONES_MS),
            }
        return settings | {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}


@dataclass(frozen=True, slots=True)
class Layout:
    """How an installation lays its topics out."""

    partitions: int
    """Of every topic: workers read and write all of them by the same numbers."""
    replication: int
    min_insync_replicas: int
    ingress: Collection[str] = tuple(topics.REQUESTED.values())
    """Topics that carry requests; `faust.yaml` may name others."""
    dedup_window_ms: int = DAY_MS
    only: Collection[str] | None = None
    """What one role has to do with; None for all there are."""

    def topics(self) -> tuple[Topic, ...]:
        """Public ones first."""
        topics = (*_public(self.ingress), *_internal(self.ingress), *_changelogs(self))
        return tuple(each for each in topics if self.only is None or each.name in self.only)

    def settings_of(self, topic: Topic) -> dict[str, str]:
        return topic.settings(min_insync_replicas=self.min_insync_replicas)


def _public(ingress: Collection[str]) -> list[Topic]:
    unused = {name for name in topics.REQUESTED.values() if name not in ingress}
    published = {
        each.name: Topic(
            name=each.name,
            purpose=each.description,
            key=each.key,
            writers=", ".join(each.writers),
            retention_ms=None if each.retention_days is None else each.retention_days * DAY_MS,
        )
        for each in PUBLIC_TOPICS
    }
    request = published[topics.REQUESTED["normal"]]
    named = [replace(request, name=name) for name in ingress if name not in published]
    return named + [topic for name, topic in published.items() if name not in unused]


def _internal(ingress: Collection[str]) -> list[Topic]:
    def internal(name: str, purpose: str, retention_ms: int = 7 * DAY_MS) -> Topic:
        return Topic(name, purpose, "none: a record names its partition", "postrider", retention_ms)

    return [
        *(
            internal(topics.forwarded(name), f"Records of {name} that were in another partition.")
            for name in (*ingress, topics.RECIPIENTS_CHANGED)
        ),
        internal(topics.RECIPIENTS_IMPORTED, "Recipients of an import, many a record."),
        internal(topics.RECIPIENTS_DERIVED, "What we found out about recipients."),
        internal(topics.ADDRESSES_CHANGED, "Who holds an address, by its hash."),
        internal(topics.BROADCASTS_ACCEPTED, "A broadcast, one command a partition."),
        *(
            internal(
                topics.deliveries(channel, lane),
                f"{channel} deliveries, {lane} lane.",
                # Longer than stops are remembered: too old to be sent, each is still settled.
                HORIZON_MS + DAY_MS,
            )
            for channel in CHANNELS
            for lane in LANES
        ),
        internal(topics.DELIVERIES_RETURNED, "Deliveries that failed and name a fallback."),
    ]


def _changelogs(layout: Layout) -> list[Topic]:
    return [_changelog(role, kind, layout) for role in ROLES for kind in Kind]


def _changelog(role: str, kind: Kind, layout: Layout) -> Topic:
    if kind is Kind.DURABLE:
        retention_ms, key = None, "the row's"
    else:
        # Packed records hold many rows: compaction would lose rows, so time alone forgets them.
        retention_ms, key = longest_row_ms(role, layout) + DAY_MS, "none: a record packs many rows"
    return Topic(
        name=changelog(role, kind),
        purpose=f"The {kind.name.lower()} state of role {role}.",
        key=key,
        writers="postrider",
        retention_ms=retention_ms,
        is_changelog=True,
    )


def longest_row_ms(role: str, layout: Layout) -> int:
    """How long after it was written a transient row of a role may still be needed.

    A decision must be found by a repeat that was appended at the end of the window and then
    waited, with all workers down, for as long as a request is kept; a fallback that was begun, by
    another channel's failure that waited; who gave a token up, by whoever claims it while
    something is queued for it.
    """
    if role != DECIDE:
        return LEDGER_RETENTION_MS
    requests = [each for each in _public(layout.ingress) if each.name in layout.ingress]
    decision_ms = layout.dedup_window_ms + max(each.retention_ms or 0 for each in requests)
    return max(decision_ms, fallbacks.REMEMBERED_MS, addresses.REMEMBERED_MS)


@dataclass(frozen=True, slots=True)
class RetentionBound:
    """What an installation's own choice of a retention must keep to, and why."""

    why: str
    least_ms: int = 0
    most_ms: int | None = None


def retention_bounds(layout: Layout) -> Mapping[str, RetentionBound]:
    """By topic; the others may be kept for as long as anybody likes."""
    tail = RetentionBound(
        "what stops a delivery must be remembered for as long as a delivery may wait", HORIZON_MS
    )
    tails = (topics.RECIPIENTS_CHANGED, topics.RECIPIENTS_DERIVED, topics.NOTIFICATIONS_CANCELLED)
    return {
        **dict.fromkeys(tails, tail),
        **{
            changelog(role, Kind.TRANSIENT): RetentionBound(
                "a changelog must outlive its rows", longest_row_ms(role, layout)
            )
            for role in ROLES
        },
        topics.DEAD_LETTERS: RetentionBound(
            "a letter that outlives what is remembered of its replay could be sent twice",
            most_ms=LEDGER_RETENTION_MS - _SEGMENT_MS,
        ),
    }
