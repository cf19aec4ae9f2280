"""What becomes of a dead letter that is put back; see docs/decisions/0004-replay.md.

Deliveries go out as the next round of themselves, in the partition they left: the same round
however often they are put back, so the attempt ledger knows a second time. Their release keeps
its age, since what was said against them before the senders' memory begins is not known there.
A record goes back as itself, with the coordinates it first had, so that its ids stay the same.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import msgspec

from agents.release import Release
from policies.stops import HORIZON_MS
from schemas import topics
from schemas.dead_letter import DeadLetter
from schemas.delivery import encode_batch
from schemas.forwarding import forward
from schemas.instants import to_ms
from schemas.kafka import InboundRecord, Record

_REPEATABLE = (
    topics.RECIPIENTS_IMPORTED,
    topics.RECIPIENTS_DERIVED,
    topics.ADDRESSES_CHANGED,
    topics.DELIVERIES_RETURNED,
)
"""Of our own topics those whose records say the same when they are said twice."""
_BROADCASTS = (topics.BROADCASTS_REQUESTED, topics.BROADCASTS_ACCEPTED)

TOO_OLD = "it waited longer than stops are remembered: its producer may ask again"


class PutBack(NamedTuple):
    """The record to write, and how many deliveries or records it stands for."""

    record: Record
    weight: int


class NotReplayable(NamedTuple):
    """Why a letter stays where it is."""

    why: str


class Replay:
    """Decides about letters, at one instant. `ingress` are the topics of requests."""

    def __init__(self, *, ingress: Collection[str], now_ms: int) -> None:
        self._keyed = {*ingress, topics.RECIPIENTS_CHANGED}
        self._forwarded = {topics.forwarded(topic) for topic in self._keyed}
        self._now_ms = now_ms

    def of(self, letter: DeadLetter) -> PutBack | NotReplayable:
        """What to write for this letter; the same however often it is asked."""
        if letter.is_cut:
            return NotReplayable("it was too large to be kept")
        if not letter.replayable:
            continued = "another channel goes on with it"
            refused = "it can only fail again: its producer must mend it"
            return NotReplayable(continued if letter.kind == "deliveries" else refused)
        return self._deliveries(letter) if letter.kind == "deliveries" else self._record(letter)

    def _deliveries(self, letter: DeadLetter) -> PutBack | NotReplayable:
        batch = letter.batch()
        if letter.stage == Release.name:
            return NotReplayable("its deliveries went on by themselves")
        if batch.released_ms + HORIZON_MS <= self._now_ms:
            return NotReplayable(TOO_OLD)
        again = msgspec.structs.replace(
            batch, round=batch.round + 1, attempt=1, call=1, held_attempt=0, free_calls=0
        )
        topic = topics.deliveries(batch.channel, batch.lane)
        record = Record(topic, letter.partition, encode_batch(again))
        return PutBack(record, len(batch.targets))

    def _record(self, letter: DeadLetter) -> PutBack | NotReplayable:
        topic, headers = letter.topic, tuple(letter.headers)
        if topic in self._keyed:
            return PutBack(forward(_as_read(letter), letter.partition), 1)
        if topic in self._forwarded or topic in _REPEATABLE:
            return PutBack(Record(topic, letter.partition, letter.value, headers=headers), 1)
        if topic in _BROADCASTS:
            return NotReplayable("a broadcast told twice reaches people twice: it is asked anew")
        return NotReplayable("it was waiting when it failed: its producer may ask again")


def _as_read(letter: DeadLetter) -> InboundRecord:
    return InboundRecord(
        letter.topic,
        letter.partition,
        letter.offset,
        to_ms(datetime.fromisoformat(letter.appended_at)),
        letter.key,
        letter.value,
        tuple(letter.headers),
        letter.part,
    )
