"""Receipts with blanks: a broadcast tells a million in the same words."""

from typing import NamedTuple

from agents.facts import Fact
from schemas import ids
from schemas.delivery import Body
from schemas.id_forms import BLANK, IdForm
from schemas.receipt import SCHEMA_VERSION, Receipt, encode_receipt

FormKey = tuple[Fact, str, int, bool, bool]
"""Fact, channel, device count; whether there is a provider's message id, and a device."""

_BLANK = "\0"  # no field of a receipt may hold it
_BLANK_JSON = rb'"\u0000"'


class Form(NamedTuple):
    """A receipt with blanks."""

    head: IdForm
    """For the ids of the receipt, the notification and the delivery; the user comes after it."""
    tail: bytes
    """`%b` for the provider's message id and the device, where there are such."""


class Forms:
    """Of one instant: those of one body are remembered until another is told of."""

    __slots__ = ("_body", "_known", "_now")

    def __init__(self, now: str) -> None:
        self._now = now
        self._body: Body | None = None
        self._known: dict[FormKey, Form] = {}

    def of(self, body: Body, key: FormKey) -> Form:
        if body is not self._body:
            self._body = body
            self._known.clear()
        form = self._known.get(key)
        if form is None:
            form = self._known[key] = self._make(body, *key)
        return form

    def _make(
        self,
        body: Body,
        fact: Fact,
        channel: str,
        device_count: int,
        has_message_id: bool,
        has_device: bool,
    ) -> Form:
        blank = receipt_of(
            fact, body, channel, self._now,
            receipt_id=_BLANK,
            notification_id=_BLANK,
            delivery_id=_BLANK,
            user_id=_BLANK,
            provider_message_id=_BLANK if has_message_id else "",
            device_id=_BLANK if has_device else "",
            device_count=device_count,
        )  # fmt: skip
        text = encode_receipt(blank).replace(_BLANK_JSON, b'"%b"' % BLANK, 3)
        head, *rest = text.split(_BLANK_JSON)
        return Form(IdForm(head), b"%b".join(piece.replace(b"%", b"%%") for piece in rest))


def receipt_of(
    fact: Fact,
    body: Body,
    channel: str,
    now: str,
    *,
    receipt_id: str,
    notification_id: str,
    delivery_id: str,
    user_id: str,
    device_id: str,
    device_count: int,
    provider_message_id: str,
) -> Receipt:
    """What is told of one delivery, or of one device of it."""
    return Receipt(
        receipt_id=receipt_id,
        schema_version=SCHEMA_VERSION,
        tenant=body.tenant,
        notification_id=notification_id,
        delivery_id=delivery_id,
        broadcast_id=ids.to_text(body.broadcast_id) if body.broadcast_id else "",
        user_id=user_id,
        channel=channel,
        type=body.type,
        category=body.category,
        status=fact.status,
        is_final=fact.is_final,
        state_rank=fact.rank,
        reason=fact.reason,
        round=fact.round,
        attempt=fact.attempt,
        provider=fact.provider,
        provider_code=fact.provider_code,
        provider_message_id=provider_message_id,
        device_id=device_id,
        device_count=device_count,
        occurred_at=now,
        recorded_at=now,
        metadata=body.metadata,
        traceparent=body.traceparent,
    )
