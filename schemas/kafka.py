"""Records as they come from and go to Kafka, without any client library."""

from typing import NamedTuple

import msgspec

Headers = tuple[tuple[str, bytes], ...]
CountedAs = tuple[str, str, str]
"""Of a receipt its channel, its status and its reason."""


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class InboundRecord(NamedTuple):
    """A record as it was read; `timestamp_ms` is the broker's append time on ingress topics."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    part: int = -1
    """Its place in the batch record that it came in; -1 for one that came alone."""

    def header(self, name: str) -> bytes | None:
        """The last value of a header, since a forwarding hop appends."""
        return next((value for key, value in reversed(self.headers) if key == name), None)

    @property
    def size_bytes(self) -> int:
        """All that its producer wrote."""
        size = len(self.value or b"") + len(self.key or b"")
        for name, value in self.headers:
            size += len(name.encode()) + len(value)
        return size


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record to be written. It names its partition; only public topics carry a key."""

    topic: str
    partition: int
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    counted_as: CountedAs | None = None
    """What it is counted as once it is committed; not written."""
