"""What the engine writes for a stage that never sees the record: dead letters and forwarding."""

from collections.abc import Sequence
from typing import Any

from schemas import topics
from schemas.dead_letter import encode_dead_letter, letter_of_deliveries, letter_of_record
from schemas.decode import explain
from schemas.delivery import DeliveryBatch
from schemas.forwarding import forward, origin_of
from schemas.ids import partitions_of
from schemas.kafka import InboundRecord, Record
from streams.engine.items import Taken

_REPLAYABLE = frozenset({"stage_raised"})
"""Causes after which a replay may succeed, once the code is mended; the others never can."""


class RecordEnvelopes:
    """`Envelopes` of the real topics, for a role of so many partitions."""

    def __init__(self, *, partitions: int) -> None:
        self._partitions = partitions

    def item(self, record: InboundRecord, *, is_forwarded: bool) -> Taken[Any]:
        if is_forwarded:
            topic, partition, offset, appended_ms, part = origin_of(record)
            headers = record.headers
        else:
            topic, partition, offset, appended_ms, _, _, headers, part = record
        return Taken(None, topic, partition, offset, appended_ms, headers, None, part, record)

    def explain(self, error: Exception) -> tuple[str, str]:
        return explain(error)

    def homes(self, user_ids: Sequence[str]) -> Sequence[int]:
        return partitions_of(user_ids, self._partitions)

    def forward(self, item: Taken[Any], partition: int) -> Record:
        assert item.record is not None  # only records of a source name a user
        return forward(item.record, partition)

    def dead_letter(
        self, item: Taken[Any], *, stage: str, cause: str, detail: str, now_ms: int
    ) -> Record:
        """In the partition the item was read from, so that one transaction has few destinations."""
        if isinstance(item.value, DeliveryBatch):
            letter = letter_of_deliveries(
                item.value,
                topic=item.record.topic if item.record else "",
                partition=item.record.partition if item.record else item.partition,
                stage=stage,
                cause=cause,
                detail=detail,
                now_ms=now_ms,
            )
        else:
            letter = letter_of_record(
                item.record or _record_of_row(item),
                stage=stage,
                cause=cause,
                detail=detail,
                now_ms=now_ms,
                replayable=cause in _REPLAYABLE,
            )
        partition = max(letter.partition, 0)
        return Record(topics.DEAD_LETTERS, partition, encode_dead_letter(letter))


def _record_of_row(item: Taken[Any]) -> InboundRecord:
    """A due row has no record; its key and value are what there is to keep."""
    return InboundRecord("", -1, -1, item.appended_ms, item.row_key, item.row_value)
