"""Recipients gathered into batch records, each of one partition."""

from collections.abc import Iterator

from schemas.ids import partition_of
from schemas.kafka import Record
from schemas.recipient_events import ImportBatch, ImportedRecipient, encode_import
from schemas.topics import RECIPIENTS_IMPORTED

MAX_RECIPIENTS = 500
"""Half of what `keep_recipients` writes in one transaction."""
MAX_TEXT = 96 * 1024
"""Characters in a record; with profiles and consequences a transaction must hold twice as much."""
_FIXED_TEXT = 32


class Batches:
    """One record in the making for each partition; a user's lines stay in the order they came."""

    def __init__(self, *, partitions: int) -> None:
        self._partitions = partitions
        self._open: list[list[ImportedRecipient]] = [[] for _ in range(partitions)]
        self._text = [0] * partitions

    def add(self, recipient: ImportedRecipient) -> Record | None:
        """The record that is full before this recipient, if one is."""
        partition = partition_of(recipient.user_id, self._partitions)
        items, size = self._open[partition], _size(recipient)
        full = None
        if items and (len(items) == MAX_RECIPIENTS or self._text[partition] + size > MAX_TEXT):
            full = self._take(partition)
        self._open[partition].append(recipient)
        self._text[partition] += size
        return full

    def rest(self) -> Iterator[Record]:
        """What was not full yet."""
        for partition, items in enumerate(self._open):
            if items:
                yield self._take(partition)

    def _take(self, partition: int) -> Record:
        items = self._open[partition]
        self._open[partition], self._text[partition] = [], 0
        return Record(RECIPIENTS_IMPORTED, partition, encode_import(ImportBatch(items)))


def _size(recipient: ImportedRecipient) -> int:
    """About what it takes; exact enough, since a record may be several times as large."""
    size = _FIXED_TEXT + len(recipient.user_id) + len(recipient.email) + len(recipient.name)
    if recipient.devices:
        size += sum(len(device.token) + len(device.device_id) for device in recipient.devices)
    if recipient.types or recipient.audiences:
        size += sum(map(len, recipient.types)) + sum(map(len, recipient.audiences))
    return size
