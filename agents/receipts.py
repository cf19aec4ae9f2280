"""Receipts as records: one fact about one delivery, written to its user's partition."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import msgspec

from agents.facts import Fact
from agents.receipt_forms import Form, FormKey, Forms, receipt_of
from schemas import ids
from schemas.delivery import Body, Target
from schemas.instants import rfc3339
from schemas.kafka import CountedAs, Record
from schemas.receipt import SCHEMA_VERSION, Receipt, encode_receipt
from schemas.topics import RECEIPTS

Told = tuple[str, bytes, bytes]
"""User id, notification id, delivery id."""
Asked = tuple[str, Sequence[Target]]
"""The provider's message id, and whom it stands for: those of one request."""

_FEW = 8
"""Fewer receipts are written one by one: a form of theirs would be made in vain."""
_encode_text = msgspec.json.Encoder().encode


class ReceiptWriter:
    """Holds what all receipts of a process share."""

    def __init__(self, *, partitions: int) -> None:
        self._partitions = partitions

    def at(self, now_ms: int) -> "ReceiptsAt":
        """The receipts of one batch: everything it tells happened at its instant."""
        return ReceiptsAt(self._partitions, now_ms)


class ReceiptsAt:
    """Writes receipts of one instant. The same fact has the same receipt_id however often told."""

    __slots__ = ("_forms", "_now", "_partitions")

    def __init__(self, partitions: int, now_ms: int) -> None:
        self._partitions = partitions
        self._now = rfc3339(now_ms)
        self._forms = Forms(self._now)

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
        return self._record(
            fact, body, channel, user_id, notification_id, delivery_id, device_count=device_count
        )

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
        if len(told) < _FEW:
            return [
                self._record(fact, body, channel, *each, device_count=device_count) for each in told
            ]
        user_ids, notification_ids, delivery_ids = zip(*told, strict=True)
        return self._alike(
            fact, body, channel, user_ids, notification_ids, delivery_ids, device_count, ""
        )

    def targets(self, fact: Fact, body: Body, channel: str, told: Sequence[Asked]) -> list[Record]:
        """About deliveries that are on their way; for push, about one device of each."""
        records: list[Record] = []
        alone: list[tuple[str, Target]] = []
        for message_id, targets in told:
            if len(targets) < _FEW or any(target.device_id for target in targets):
                alone += ((message_id, target) for target in targets)
                continue
            records += self._alike(
                fact, body, channel,
                [target.user_id for target in targets],
                [target.notification_id for target in targets],
                [target.delivery_id for target in targets],
                1, message_id,
            )  # fmt: skip
        if len(alone) < _FEW:
            return records + [
                self.target(fact, body, channel, target, message_id) for message_id, target in alone
            ]
        return records + self._unlike(fact, body, channel, alone)

    def target(
        self, fact: Fact, body: Body, channel: str, target: Target, provider_message_id: str = ""
    ) -> Record:
        """As `targets`, of one alone."""
        return self._record(
            fact, body, channel, target.user_id, target.notification_id, target.delivery_id,
            device_count=target.device_count,
            device_id=target.device_id,
            provider_message_id=provider_message_id,
        )  # fmt: skip

    def _alike(
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
        said = (_encode_text(provider_message_id),) if provider_message_id else ()
        form = self._forms.of(body, (fact, channel, device_count, bool(said), False))
        return self._filled(
            form,
            (channel, fact.status, fact.reason),
            ids.receipt_ids(delivery_ids, fact.id_part),
            notification_ids,
            delivery_ids,
            user_ids,
            repeat(form.tail % said),
        )

    def _unlike(
        self, fact: Fact, body: Body, channel: str, told: Sequence[tuple[str, Target]]
    ) -> list[Record]:
        """Each with a message id or a device of its own."""
        forms: defaultdict[FormKey, list[tuple[str, Target]]] = defaultdict(list)
        for message_id, target in told:
            blanks = bool(message_id), bool(target.device_id)
            forms[fact, channel, target.device_count, *blanks].append((message_id, target))
        counted_as = channel, fact.status, fact.reason
        records: list[Record] = []
        for key, some in forms.items():
            form, targets = self._forms.of(body, key), [target for _, target in some]
            tails = [
                form.tail % tuple(map(_encode_text, filter(None, (message_id, target.device_id))))
                for message_id, target in some
            ]
            records += self._filled(
                form,
                counted_as,
                [_receipt_id(fact, target.delivery_id, target.device_id) for target in targets],
                [target.notification_id for target in targets],
                [target.delivery_id for target in targets],
                [target.user_id for target in targets],
                tails,
            )
        return records

    def _filled(
        self,
        form: Form,
        counted_as: CountedAs,
        receipt_ids: Sequence[bytes],
        notification_ids: Sequence[bytes],
        delivery_ids: Sequence[bytes],
        user_ids: Sequence[str],
        tails: Iterable[bytes],
    ) -> list[Record]:
        heads = form.head.filled(receipt_ids, notification_ids, delivery_ids)
        places = ids.partitions_of_ids(notification_ids, self._partitions)
        return [
            Record(
                RECEIPTS,
                place,
                head + _encode_text(user_id) + tail,
                user_id.encode(),
                (),
                counted_as,
            )
            for head, place, user_id, tail in zip(heads, places, user_ids, tails, strict=False)
        ]

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
        key = (user_id or id_text).encode()
        return Record(RECEIPTS, partition, encode_receipt(receipt), key, (), ("", status, reason))

    def _record(
        self,
        fact: Fact,
        body: Body,
        channel: str,
        user_id: str,
        notification_id: bytes,
        delivery_id: bytes,
        *,
        device_count: int,
        device_id: str = "",
        provider_message_id: str = "",
    ) -> Record:
        receipt = receipt_of(
            fact, body, channel, self._now,
            receipt_id=ids.to_text(_receipt_id(fact, delivery_id, device_id)),
            notification_id=ids.to_text(notification_id),
            delivery_id=ids.to_text(delivery_id),
            user_id=user_id,
            device_id=device_id,
            device_count=device_count,
            provider_message_id=provider_message_id,
        )  # fmt: skip
        partition = ids.partition_of_id(notification_id, self._partitions)
        counted_as = channel, fact.status, fact.reason
        value = encode_receipt(receipt)
        return Record(RECEIPTS, partition, value, user_id.encode(), (), counted_as)


def _receipt_id(fact: Fact, delivery_id: bytes, device_id: str) -> bytes:
    """Devices of one delivery have receipts of their own."""
    return ids.receipt_id(delivery_id, fact.id_part + device_id.encode())
