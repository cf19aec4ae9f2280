"""What each role reads and writes: the ACLs that its principal needs, and no more."""

from collections.abc import Collection
from dataclasses import dataclass

from schemas import topics
from schemas.delivery import CHANNELS, LANES
from streams.names import changelog
from streams.stop_feed import CALLED_OFF, STOPS
from streams.topology import DECIDE
from tables.state import Kind


@dataclass(frozen=True, slots=True)
class Access:
    """Logical names of topics. Beside them a role reads its group and writes its transactional ids; and
    it must be allowed to read what it writes, for when a broker leaves it in doubt what counts."""

    reads: frozenset[str]
    writes: frozenset[str]

    @property
    def topics(self) -> frozenset[str]:
        return self.reads | self.writes


def access_of(role: str, ingress: Collection[str]) -> Access:
    """`ingress` are the topics that carry requests."""
    changelogs = {changelog(role, kind) for kind in Kind}
    told = {
        topics.RECEIPTS, topics.DEAD_LETTERS, topics.RECIPIENTS_DERIVED, topics.ADDRESSES_CHANGED,
    }  # fmt: skip
    if role != DECIDE:
        (channel,) = (each for each in CHANNELS if each == role)
        deliveries = {topics.deliveries(channel, lane) for lane in LANES}
        return Access(
            reads=frozenset({*deliveries, *STOPS, *changelogs}),
            writes=frozenset({*told, topics.DELIVERIES_RETURNED, *changelogs}),
        )
    keyed = {*ingress, topics.RECIPIENTS_CHANGED}
    forwarded = {topics.forwarded(name) for name in keyed}
    sources = {
        *keyed, *forwarded, topics.RECIPIENTS_DERIVED, topics.ADDRESSES_CHANGED,
        topics.RECIPIENTS_IMPORTED, topics.BROADCASTS_REQUESTED, topics.BROADCASTS_ACCEPTED,
        topics.DELIVERIES_RETURNED,
    }  # fmt: skip
    deliveries = {topics.deliveries(channel, lane) for channel in CHANNELS for lane in LANES}
    return Access(
        reads=frozenset({*sources, *CALLED_OFF, *changelogs}),
        writes=frozenset({*told, *forwarded, topics.BROADCASTS_ACCEPTED, *deliveries, *changelogs}),
    )
