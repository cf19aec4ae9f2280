"""`DeadLetter`: what was given up, kept with its cause, so that it can be looked at and replayed.

One JSON record on `dead-letters`; bytes are base64 in it. Values up to a bound are kept
whole; of larger ones the size, SHA-256 and coordinates remain.
"""

import hashlib
from typing import Literal

import msgspec

from schemas.delivery import MAX_BATCH_BYTES, DeliveryBatch, decode_batch, encode_batch
from schemas.forwarding import Origin
from schemas.instants import rfc3339
from schemas.kafka import Headers, InboundRecord

MAX_VALUE_BYTES = MAX_BATCH_BYTES
"""In base64 still well below a transaction's bound."""
MAX_KEY_AND_HEADER_BYTES = 16 * 1024
MAX_DETAIL_CHARACTERS = 1000

SCHEMA_VERSION = "1.0"


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Instants are RFC 3339 in UTC with milliseconds."""

    schema_version: str
    kind: Literal["record", "deliveries"]
    """A record as it was read, or deliveries that a sender gave up (then `value` is a batch)."""
    stage: str
    cause: str
    detail: str = ""
    """Names what is wrong, never a value."""
    occurred_at: str
    replayable: bool = False
    """False where putting it back could only fail again, or has been continued elsewhere."""
    round: int = 0
    """How often it had been replayed already."""
    topic: str
    partition: int
    offset: int
    """Where it was read; -1 for deliveries that had waited in a schedule."""
    part: int = -1
    """Its place in the batch record that it came in; -1 for one that came alone."""
    appended_at: str = ""
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = []
    is_cut: bool = False
    """Key, headers or value were too large and are missing; such a letter is not replayable."""
    value: bytes | None = None
    value_bytes: int = 0
    value_sha256: str = ""

    @property
    def origin(self) -> str:
        """Where it was read, as receipts name it."""
        return str(Origin(self.topic, self.partition, self.offset, 0, self.part))

    def batch(self) -> DeliveryBatch:
        """The deliveries given up; ValueError when this letter holds none."""
        if self.kind != "deliveries" or self.value is None:
            raise ValueError("this dead letter holds no deliveries")
        return decode_batch(self.value)


def letter_of_record(
    record: InboundRecord, *, stage: str, cause: str, detail: str, now_ms: int, replayable: bool
) -> DeadLetter:
    """Of a record that could not be decoded (never replayable) or whose handling raised."""
    value = record.value
    key, headers, is_key_or_header_cut = _bounded(record.key, record.headers)
    is_value_cut = value is not None and len(value) > MAX_VALUE_BYTES
    is_cut = is_key_or_header_cut or is_value_cut
    return DeadLetter(
        schema_version=SCHEMA_VERSION,
        kind="record",
        stage=stage,
        cause=cause,
        detail=_bounded_text(detail),
        occurred_at=rfc3339(now_ms),
        replayable=replayable and not is_cut,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        part=record.part,
        appended_at=rfc3339(record.timestamp_ms),
        key=key,
        headers=headers,
        is_cut=is_cut,
        value=None if is_value_cut else value,
        value_bytes=len(value or b""),
        value_sha256=hashlib.sha256(value).hexdigest() if value is not None else "",
    )


def letter_of_deliveries(
    batch: DeliveryBatch,
    *,
    topic: str,
    partition: int,
    stage: str,
    cause: str,
    now_ms: int,
    detail: str = "",
    replayable: bool = True,
) -> DeadLetter:
    """Of deliveries that a sender gave up; not replayable when a fallback channel goes on."""
    value = encode_batch(batch)
    return DeadLetter(
        schema_version=SCHEMA_VERSION,
        kind="deliveries",
        stage=stage,
        cause=cause,
        detail=_bounded_text(detail),
        occurred_at=rfc3339(now_ms),
        replayable=replayable,
        round=batch.round,
        topic=topic,
        partition=partition,
        offset=-1,
        value=value,
        value_bytes=len(value),
        value_sha256=hashlib.sha256(value).hexdigest(),
    )


def _bounded_text(detail: str) -> str:
    """An exception's text may hold what no JSON can; the letter must be written all the same."""
    return detail[:MAX_DETAIL_CHARACTERS].encode(errors="replace").decode()


def _bounded(
    key: bytes | None, headers: Headers
) -> tuple[bytes | None, list[tuple[str, bytes]], bool]:
    """Key and headers as far as they fit, and whether something did not."""
    left = MAX_KEY_AND_HEADER_BYTES - len(key or b"")
    if left < 0:
        return None, [], True
    kept: list[tuple[str, bytes]] = []
    for name, value in headers:
        left -= len(name.encode()) + len(value)
        if left < 0:
            return key, kept, True
        kept.append((name, value))
    return key, kept, False


encode_dead_letter = msgspec.json.Encoder().encode
decode_dead_letter = msgspec.json.Decoder(DeadLetter).decode
