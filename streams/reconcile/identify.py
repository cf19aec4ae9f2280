"""Which request a record is: the id that its receipts name, and its user.

The part that makes an id is read alone, twenty times as fast as the whole contract; where it
cannot be, or a header may bring the key, the decoder of the pipeline decides.
"""

from typing import Any, NamedTuple

import msgspec
from pydantic import TypeAdapter

from schemas import ids
from schemas.batch_record import RequestDecoder
from schemas.decode import MessageDecoder, Undecodable
from schemas.forwarding import Origin
from schemas.kafka import InboundRecord
from schemas.notification import BroadcastRequest, NotificationRequest

_CLOUD_EVENT_ID = "ce_id"


class Identity(NamedTuple):
    """`user_id` is empty for a broadcast."""

    request_id: bytes
    user_id: str


class _Asked(msgspec.Struct):
    user_id: str = ""
    tenant: str | None = None
    idempotency_key: str | None = None


def _ignore(topic: str, count: int) -> None:
    """Fields of a newer schema version are no concern here."""


_decode_asked = msgspec.json.Decoder(_Asked).decode
_decode_request = RequestDecoder(TypeAdapter(NotificationRequest), on_ignored=_ignore)
_decode_broadcast = MessageDecoder(TypeAdapter(BroadcastRequest), on_ignored=_ignore)


def identify_request(record: InboundRecord, origin: Origin) -> Identity | None:
    """None for a record that no request can be read from."""
    asked = _asked(record, _decode_request)
    if asked is None or not asked.user_id:
        return None
    if asked.idempotency_key is None:
        request_id = ids.notification_id_from_origin(asked.user_id, *origin)
    else:
        request_id = ids.notification_id(asked.tenant or "", asked.user_id, asked.idempotency_key)
    return Identity(request_id, asked.user_id)


def identify_broadcast(record: InboundRecord, origin: Origin) -> Identity | None:
    """None for a record that no broadcast can be read from."""
    asked = _asked(record, _decode_broadcast)
    if asked is None:
        return None
    if asked.idempotency_key is None:
        return Identity(ids.broadcast_id_from_origin(*origin[:4]), "")
    return Identity(ids.broadcast_id(asked.tenant or "", asked.idempotency_key), "")


def _asked(record: InboundRecord, decode: MessageDecoder[Any]) -> _Asked | None:
    if record.value is None:
        return None
    try:
        if record.header(_CLOUD_EVENT_ID) is None:
            return _decode_asked(record.value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        message = decode(record)
    except Undecodable:
        return None
    return _Asked(getattr(message, "user_id", ""), message.tenant, message.idempotency_key)
