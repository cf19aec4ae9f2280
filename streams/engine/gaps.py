"""What a broker no longer holds when we come to read it.

A gap between two offsets tells nothing: markers, aborted transactions and compaction leave them. Only
the broker's refusal does.
"""

from schemas.kafka import TopicPartition


class SourceRecreated(RuntimeError):
    """Raised when a topic-partition ends below where we are: what we hold is of the topic that was. To
    begin anew is to read it from its beginning."""


def read_on(place: TopicPartition, offset: int, bounds: tuple[int, int]) -> int:
    """Where to read on when `offset` was refused, by the first offset held and the end. What lies
    between the two is lost.

    Raises:
        SourceRecreated: it is another topic now.
    """
    begin, end = bounds
    if end < offset:
        raise SourceRecreated(f"{place.topic}:{place.partition} ends at {end}, below {offset}")
    return max(begin, offset)
