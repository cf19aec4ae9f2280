"""A record in another partition than its user's goes to the right one, once, as itself.

Its origin travels in headers and stands for its own coordinates in id, age, expiry and
window. They are believed on `*.forwarded` topics only, which nobody else may write.
"""

from typing import NamedTuple

from schemas import topics
from schemas.kafka import InboundRecord, Record

_TOPIC, _PARTITION, _OFFSET, _APPENDED_MS, _PART = topics.ORIGIN_HEADERS


class Origin(NamedTuple):
    """Where a record was first appended, and when."""

    topic: str
    partition: int
    offset: int
    appended_ms: int
    part: int = -1
    """Its place in a batch record; -1 for one that came alone."""

    def __str__(self) -> str:
        """As receipts about a request name it."""
        place = f"{self.topic}:{self.partition}:{self.offset}"
        return place if self.part < 0 else f"{place}:{self.part}"


def forward(record: InboundRecord, partition: int) -> Record:
    """The record for its user's partition; origin headers that a producer made up are dropped."""
    headers = tuple(h for h in record.headers if h[0] not in topics.ORIGIN_HEADERS)
    origin = (
        (_TOPIC, record.topic.encode()),
        (_PARTITION, b"%d" % record.partition),
        (_OFFSET, b"%d" % record.offset),
        (_APPENDED_MS, b"%d" % record.timestamp_ms),
        *(((_PART, b"%d" % record.part),) if record.part >= 0 else ()),
    )
    return Record(
        topics.forwarded(record.topic), partition, record.value, headers=(*headers, *origin)
    )


def origin_of(record: InboundRecord) -> Origin:
    """Whom a record speaks for. One without readable origin headers speaks for itself."""
    own = Origin(
        record.topic, record.partition, record.offset, record.timestamp_ms, record.part
    )  # fmt: skip
    topic = record.header(_TOPIC)
    if topic is None or topics.forwarded(topic.decode(errors="replace")) != record.topic:
        return own
    try:
        return Origin(
            topic.decode(),
            int(record.header(_PARTITION) or b""),
            int(record.header(_OFFSET) or b""),
            int(record.header(_APPENDED_MS) or b""),
            int(record.header(_PART) or b"-1"),
        )
    except ValueError:
        return own
