"""Receipts as records: one fact about one delivery, written to its user's partition."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from policies.receipt_merge import state_rank
from schemas import ids
from schemas.delivery import Body, Target
from schemas.instants import rfc3339
from schemas.kafka import Record
from schemas.receipt import FINAL_STATUSES, SCHEMA_VERSION, Receipt, Status, encode_receipt
from schemas.topics import RECEIPTS

Counts = Counter[tuple[str, str, str]]
"""Receipts by channel, status and reason."""
Told = tuple[str, bytes, bytes]
"""User id, notification id, delivery id."""
Asked = tuple[str, Sequence[Target]]
"""The provider's message id, and whom it stands for: those of one request."""

_FormKey = tuple["Fact", str, int, bool, bool]
"""Fact, channel, device count; whether there is a provider's message id, and a device."""

_BLANK = "\0"  # no field of a receipt may hold it
_BLANK_JSON = rb'"\u0000"'
_ID_FORM = b'"%b-%b-%b-%b-%b"'
_encode_text = msgspec.json.Encoder().encode


class Fact:
    """What is told alike of many deliveries; make it once for all of them."""

    __slots__ = (
        "attempt", "id_part", "is_final", "provider", "provider_code", "rank", "reason", "round",
        "status",
    )  # fmt: skip

    def __init__(
        self,
        status: Status,
        reason: str = "",
        *,
        round_number: int = 0,
        attempt: int = 0,
        provider: str = "",
        provider_code: str = "",
    ) -> None:
        self.status = status
        self.reason = reason
        self.round = round_number
        self.attempt = attempt
        self.provider = provider
        self.provider_code = provider_code
        self.is_final = status in FINAL_STATUSES
        self.rank = state_rank(status)
        self.id_part = ids.receipt_fact(
            status, round_number=round_number, attempt=attempt, reason=reason
        )


class ReceiptWriter:
    """Holds what all receipts of a process share."""

    def __init__(self, *, partitions: int, counts: Counts | None = None) -> None:
        """`counts` goes up with each receipt that is written."""
        self._partitions = partitions
        self._counts = Counter() if counts is None else counts

    def at(self, now_ms: int) -> "ReceiptsAt":
        """The receipts of one batch: everything it tells happened at its instant."""
        return ReceiptsAt(self._partitions, self._counts, now_ms)


class ReceiptsAt:
    """Writes receipts of one instant. The same fact has the same receipt_id however often told."""

    __slots__ = ("_body", "_counts", "_forms", "_now", "_partitions")

    def __init__(self, partitions: int, counts: Counts, now_ms: int) -> None:
        self._partitions = partitions
        self._counts = counts
        self._now = rfc3339(now_ms)
        self._body: Body | None = None
        self._forms: dict[_FormKey, bytes] = {}
        """Receipts of `_body`."""

    def delivery(
        self,
        fact: Fact,
        body: Body,
        channel: str,
        user_id: str,
        notification_id: bytes,
        delivery_id: bytes,
        *,
        device_count: int = 1,
    ) -> Record:
        """About a delivery as a whole, whether it was ever on its way or not."""
        told = (user_id, notification_id, delivery_id)
        (record,) = self.deliveries(fact, body, channel, [told], device_count=device_count)
        return record

    def deliveries(
        self,
        fact: Fact,
        body: Body,
        channel: str,
        told: Sequence[Told],
        *,
        device_count: int = 1,
    ) -> list[Record]:
        """The same of many."""
        user_ids, notification_ids, delivery_ids = zip(*told, strict=True)
        return self._deliveries(
            fact, body, channel, user_ids, notification_ids, delivery_ids, device_count, ""
        )

    def _deliveries(
        self,
        fact: Fact,
        body: Body,
        channel: str,
        user_ids: Sequence[str],
        notification_ids: Sequence[bytes],
        delivery_ids: Sequence[bytes],
        device_count: int,
        provider_message_id: str,
    ) -> list[Record]:
        """A broadcast says it of a million, so only what differs is filled in."""
        has_message_id = bool(provider_message_id)
        form = self._form_of(body, (fact, channel, device_count, has_message_id, False))
        message_id = (_encode_text(provider_message_id),) if has_message_id else ()
        self._counts[channel, fact.status, fact.reason] += len(user_ids)
        receipt_ids = ids.receipt_ids(delivery_ids, fact.id_part)
        texts = ids.text_parts(receipt_ids, notification_ids, delivery_ids)
        places = ids.partitions_of_ids(notification_ids, self._partitions)
        return [
            Record(
                RECEIPTS,
                place,
                form % (*text, _encode_text(user_id), *message_id),
                user_id.encode(),
            )
            for place, text, user_id in zip(places, texts, user_ids, strict=True)
        ]

    def targets(self, fact: Fact, body: Body, channel: str, told: Sequence[Asked]) -> list[Record]:
        """About deliveries that are on their way; for push, about one device of each."""
        if len(told) == 1 and len(told[0][1]) == 1:
            message_id, (target,) = told[0]
            return [self.target(fact, body, channel, target, message_id)]
        records: list[Record] = []
        alone: list[Asked] = []
        for asked in told:
            message_id, targets = asked
            if len(targets) == 1 or any(target.device_id for target in targets):
                alone.append(asked)
                continue
            records += self._deliveries(
                fact, body, channel,
                [target.user_id for target in targets],
                [target.notification_id for target in targets],
                [target.delivery_id for target in targets],
                1, message_id,
            )  # fmt: skip
        return records + self._one_by_one(fact, body, channel, alone)

    def _one_by_one(
        self, fact: Fact, body: Body, channel: str, told: Sequence[Asked]
    ) -> list[Record]:
        partition_of, partitions = ids.partition_of_id, self._partitions
        records = []
        for message_id, target in ((asked[0], target) for asked in told for target in asked[1]):
            device_id, id_part = target.device_id, fact.id_part
            if device_id:
                id_part += device_id.encode()
            blanks = bool(message_id), bool(device_id)
            form = self._form_of(body, (fact, channel, target.device_count, *blanks))
            receipt_id = ids.receipt_id(target.delivery_id, id_part)
            (texts,) = ids.text_parts([receipt_id], [target.notification_id], [target.delivery_id])
            said = filter(None, (target.user_id, message_id, device_id))
            value = form % (*texts, *map(_encode_text, said))
            partition = partition_of(target.notification_id, partitions)
            records.append(Record(RECEIPTS, partition, value, target.user_id.encode()))
        self._counts[channel, fact.status, fact.reason] += len(records)
        return records

    def request(
        self,
        status: str,
        reason: str,
        *,
        user_id: str,
        request_id: bytes,
        type_name: str,
        origin: str,
        tenant: str = "",
        is_broadcast: bool = False,
        metadata: dict[str, Any] | None = None,
        traceparent: str = "",
    ) -> Record:
        """About a request that made no delivery; never changes the state of an accepted one.

        `origin` names the record, so that each repeat of a request has a receipt of its own.
        """
        self._counts["", status, reason] += 1
        fact = ids.receipt_fact(status, reason=reason, detail=origin)
        id_text = ids.to_text(request_id)
        receipt = Receipt(
            receipt_id=ids.to_text(ids.receipt_id(request_id, fact)),
            schema_version=SCHEMA_VERSION,
            kind="request",
            tenant=tenant,
            notification_id="" if is_broadcast else id_text,
            broadcast_id=id_text if is_broadcast else "",
            user_id=user_id,
            type=type_name,
            status=status,
            is_final=True,
            reason=reason,
            occurred_at=self._now,
            recorded_at=self._now,
            metadata=metadata or {},
            traceparent=traceparent,
        )
        partition = ids.partition_of_id(request_id, self._partitions)
        return Record(RECEIPTS, partition, encode_receipt(receipt), (user_id or id_text).encode())

    def target(
        self, fact: Fact, body: Body, channel: str, target: Target, provider_message_id: str = ""
    ) -> Record:
        """As `targets`, of one alone: a form for it would be made in vain."""
        self._counts[channel, fact.status, fact.reason] += 1
        id_part = fact.id_part
        if target.device_id:
            id_part += target.device_id.encode()
        receipt = self._receipt(
            fact, body, channel,
            receipt_id=ids.to_text(ids.receipt_id(target.delivery_id, id_part)),
            notification_id=ids.to_text(target.notification_id),
            delivery_id=ids.to_text(target.delivery_id),
            user_id=target.user_id,
            device_id=target.device_id,
            device_count=target.device_count,
            provider_message_id=provider_message_id,
        )  # fmt: skip
        partition = ids.partition_of_id(target.notification_id, self._partitions)
        return Record(RECEIPTS, partition, encode_receipt(receipt), target.user_id.encode())

    def _form_of(self, body: Body, key: "_FormKey") -> bytes:
        """A receipt with blanks: for three ids, the user, and where there are such, the provider's
        message id and the device."""
        if body is not self._body:
            self._body = body
            self._forms.clear()
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = self._form(body, *key)
        return form

    def _form(
        self,
        body: Body,
        fact: Fact,
        channel: str,
        device_count: int,
        has_message_id: bool,
        has_device: bool,
    ) -> bytes:
        blank = self._receipt(
            fact, body, channel,
            receipt_id=_BLANK,
            notification_id=_BLANK,
            delivery_id=_BLANK,
            user_id=_BLANK,
            provider_message_id=_BLANK if has_message_id else "",
            device_id=_BLANK if has_device else "",
            device_count=device_count,
        )  # fmt: skip
        text = encode_receipt(blank).replace(b"%", b"%%")
        return text.replace(_BLANK_JSON, _ID_FORM, 3).replace(_BLANK_JSON, b"%b")

    def _receipt(
        self,
        fact: Fact,
        body: Body,
        channel: str,
        *,
        receipt_id: str,
        notification_id: str,
        delivery_id: str,
        user_id: str,
        device_id: str = "",
        device_count: int = 1,
        provider_message_id: str = "",
    ) -> Receipt:
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
            occurred_at=self._now,
            recorded_at=self._now,
            metadata=body.metadata,
            traceparent=body.traceparent,
        )
