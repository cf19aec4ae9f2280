"""What can be known of a simulated world from outside: topics, and what its carrier took."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proof.checker.evidence import Blow
from proof.imported import changes_of
from schemas import ids, topics
from schemas.dead_letter import DeadLetter, decode_dead_letter
from schemas.instants import rfc3339
from schemas.kafka import InboundRecord, TopicPartition
from schemas.profile import Profile, decode_profile
from schemas.receipt import Receipt, decode_receipt
from schemas.recipient_events import decode_import
from streams.topology import DECIDE
from tables import inbox, recipients
from tables.state import Kind
from tests.simulation.broker import Broker
from tests.simulation.carrier import Acceptance, Trouble
from tests.simulation.process import Process
from tests.simulation.real import PARTITIONS, RealWorld
from tests.simulation.speaking import RUBBISH

Place = tuple[str, int, int, int]
"""Topic, partition, offset, and the part of a batch record; -1 of one that came alone."""

_KEYED = (*topics.REQUESTED.values(), topics.RECIPIENTS_CHANGED)


@dataclass(frozen=True, slots=True)
class Said:
    """One readable record of a producer, a person or an operator."""

    place: Place
    at_ms: int
    what: dict[str, Any]

    @property
    def is_misplaced(self) -> bool:
        user = self.what.get("user_id", "")
        return self.place[0] in _KEYED and ids.partition_of(user, PARTITIONS) != self.place[1]

    @property
    def notification_id(self) -> str:
        """As a producer can compute it; of a request."""
        user, key = self.what["user_id"], self.what.get("idempotency_key")
        if key is not None:
            tenant = self.what.get("tenant", "")
            return ids.to_text(ids.notification_id(tenant, user, key))
        topic, partition, offset, part = self.place
        return ids.to_text(
            ids.notification_id_from_origin(user, topic, partition, offset, self.at_ms, part)
        )


@dataclass(slots=True)
class Evidence:
    """Everything, in the order it was appended within each partition."""

    requests: list[Said] = field(default_factory=list)
    broadcasts: list[Said] = field(default_factory=list)
    changes: list[Said] = field(default_factory=list)
    cancellations: list[Said] = field(default_factory=list)
    controls: list[Said] = field(default_factory=list)
    rubbish: set[Place] = field(default_factory=set)
    forwarded: Counter[Place] = field(default_factory=Counter)
    """By where they came from."""
    receipts: list[Receipt] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    acceptances: list[Acceptance] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    profiles: dict[str, Profile] = field(default_factory=dict)
    inbox: list[bytes] = field(default_factory=list)
    """Delivery ids of the messages that users see."""
    imports: list[Said] = field(default_factory=list)
    """What lines of imports say, as changes."""
    blows: list[Blow] = field(default_factory=list)
    is_askew: bool = False
    """Somebody has set clocks: waits that are told by them may be shorter, or longer."""
    rests_ms: list[int] = field(default_factory=list)
    withdrawn: set[int] = field(default_factory=set)
    ended_ms: int = 0


def gather(world: RealWorld) -> Evidence:
    found = Evidence(
        acceptances=list(world.carrier.accepted), troubles=list(world.carrier.troubles)
    )
    asked = {
        **dict.fromkeys(topics.REQUESTED.values(), found.requests),
        topics.BROADCASTS_REQUESTED: found.broadcasts,
        topics.RECIPIENTS_CHANGED: found.changes,
        topics.NOTIFICATIONS_CANCELLED: found.cancellations,
        topics.CONTROLS: found.controls,
    }
    for topic, said in asked.items():
        for record in _committed(world.broker, topic):
            for part, what in _parts(record):
                place = (topic, record.partition, record.offset, part)
                if isinstance(what, dict):
                    said.append(Said(place, record.timestamp_ms, what))
                else:
                    found.rubbish.add(place)
    for topic in _KEYED:
        for record in _committed(world.broker, topics.forwarded(topic)):
            found.forwarded[_origin(record)] += 1
    found.receipts = [
        _told(record, world.is_askew) for record in _committed(world.broker, topics.RECEIPTS)
    ]
    found.letters = [
        decode_dead_letter(record.value or b"")
        for record in _committed(world.broker, topics.DEAD_LETTERS)
    ]
    for state in world.states[DECIDE]:
        for key, row in state.scan(
            Kind.DURABLE, recipients.PREFIX, _after(recipients.PREFIX), 1000
        ):
            found.profiles[key[len(recipients.PREFIX) :].decode()] = decode_profile(row)
    for record in _committed(world.broker, topics.RECIPIENTS_IMPORTED):
        place = (record.topic, record.partition, record.offset, -1)
        for line in decode_import(record.value or b"").items:
            found.imports += [Said(place, record.timestamp_ms, each) for each in changes_of(line)]
    found.blows = list(_blows(world))
    found.is_askew = world.is_askew
    found.rests_ms = world.rests_ms
    found.withdrawn = world.withdrawn
    found.ended_ms = world.loop.now_ms()
    users = {each.user_id for each in found.receipts}
    for state in world.states.get("in_app", ()):
        for user in users:
            found.inbox += [each.delivery_id for each in inbox.read(state, user, 0)]
    return found


_BY_THE_CLOCK = ("ttl", "quiet_hours", "legal_window")


def _parts(record: InboundRecord) -> Iterator[tuple[int, Any]]:
    """Each thing that a record says, with its place in a batch; anything but an object where nobody can
    read it."""
    what = None if RUBBISH in record.headers else json.loads(record.value or b"")
    if isinstance(what, list):
        yield from enumerate(what)
    else:
        yield -1, what


def _told(record: InboundRecord, is_askew: bool) -> Receipt:
    """Where clocks differ it is dated by the broker's, as all else is; but for what is too late, or at a
    bad time of day, which is so by the clock of whoever says it."""
    receipt = decode_receipt(record.value or b"")
    if is_askew and receipt.reason not in _BY_THE_CLOCK:
        return msgspec.structs.replace(receipt, occurred_at=rfc3339(record.timestamp_ms))
    return receipt


def _after(prefix: bytes) -> bytes:
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _blows(world: RealWorld) -> Iterator[Blow]:
    """Beginnings, which take partitions from others, and from whoever still runs in their slot without
    a drain; ends, and when they were asked for; sleeps and cuts that may have lost partitions; their
    ends, since who fell asleep over a take-over goes on with it, and fences the new owner."""
    for process in world.lives:
        domain = process.domain
        silent_ms = (*domain.suspended_ms, *domain.woken_ms, *domain.cut_off_ms)
        sleeps = [(at_ms, "suspend") for at_ms in silent_ms]
        what = "stop" if process.has_drained else "kill"
        ends = [] if process.ended_ms is None else [(process.ended_ms, what)]
        if process.draining_ms is not None:
            ends.append((process.draining_ms, "stop"))
        robs = any(_is_robbed_by(process, other) for other in world.lives)
        yield Blow(process.began_ms, process.role, "rob" if robs else "join")
        for at_ms, what in (*sleeps, *ends):
            yield Blow(at_ms, process.role, what)


def _is_robbed_by(process: Process, other: Process) -> bool:
    """Whether the other one, of the same slot, still ran when it began."""
    has_ended = other.ended_ms is not None and other.ended_ms <= process.began_ms
    return other.slot == process.slot and other.began_ms < process.began_ms and not has_ended


def _committed(broker: Broker, topic: str) -> Iterator[InboundRecord]:
    for partition in range(PARTITIONS):
        place = TopicPartition(topic, partition)
        records, _ = broker.read_committed(place, broker.log(place).begin, 1 << 60)
        yield from records


def _origin(record: InboundRecord) -> Place:
    topic, partition, offset, _, part = map(record.header, topics.ORIGIN_HEADERS)
    return (topic or b"").decode(), int(partition or b""), int(offset or b""), int(part or b"-1")
