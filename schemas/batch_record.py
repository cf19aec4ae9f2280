"""A record with many requests: a JSON array of them.

It costs its producer and the broker one record instead of hundreds. Whoever reads it takes it apart
first: from then on each request is a record of its own, at the coordinates of the whole and with its
place in it, so that one that is wrong or misplaced leaves its neighbours alone.
"""

from collections.abc import Sequence

import msgspec

from schemas.decode import MAX_RECORD_BYTES, MessageDecoder, Undecodable, size_of
from schemas.kafka import InboundRecord
from schemas.notification import NotificationRequest

MAX_REQUESTS = 1000
"""In one record."""
_SPACE = b" \t\r\n"
_elements_of = msgspec.json.Decoder(list[msgspec.Raw]).decode


def parts_of(record: InboundRecord) -> Sequence[InboundRecord]:
    """The requests of a batch in order; of anything else, and of a batch that cannot be taken apart,
    the record itself."""
    if not _is_batch(record):
        return (record,)
    try:
        elements = _elements(record)
    except Undecodable:
        return (record,)
    topic, partition, offset, timestamp_ms, key, _, headers, _ = record
    return [
        InboundRecord(topic, partition, offset, timestamp_ms, key, bytes(each), headers, part)
        for part, each in enumerate(elements)
    ]


class RequestDecoder(MessageDecoder[NotificationRequest]):
    """Of requests, once batches are taken apart; tells why one could not be."""

    def __call__(self, record: InboundRecord) -> NotificationRequest:
        if _is_batch(record):
            _elements(record)
        return super().__call__(record)


def _is_batch(record: InboundRecord) -> bool:
    if record.part >= 0 or record.value is None:
        return False
    return record.value.lstrip(_SPACE).startswith(b"[")


def _elements(record: InboundRecord) -> list[msgspec.Raw]:
    """Raises `Undecodable`."""
    size = size_of(record)
    if size > MAX_RECORD_BYTES:
        raise Undecodable("too_large", f"{size} bytes, at most {MAX_RECORD_BYTES}")
    try:
        elements = _elements_of(record.value or b"")
    except UnicodeDecodeError as error:
        raise Undecodable("bad_utf8", f"at byte {error.start}") from None
    except RecursionError:
        raise Undecodable("too_deep", "more levels than a parser takes") from None
    except msgspec.MsgspecError as error:
        raise Undecodable("bad_json", str(error)) from None
    if not 1 <= len(elements) <= MAX_REQUESTS:
        raise Undecodable(
            "invalid", f"{len(elements)} requests in a batch, from 1 to {MAX_REQUESTS}"
        )
    return elements
