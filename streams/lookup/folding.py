"""Receipts into rows, many at once: the fold of `policies/receipt_merge.py` over a store."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from policies.receipt_merge import DeliveryState, fold
from schemas import ids
from schemas.receipt import Receipt, decode_receipt
from streams.lookup import rows
from streams.lookup.rows import KEPT_MS, Delivery, Remark, RowStore, Told
from tables.packing import RowList


class Read(NamedTuple):
    """A receipt as it was read."""

    value: bytes
    appended_ms: int


class Folding:
    """Of one partition. Receipts may repeat and come in any order; offsets may not."""

    def __init__(self, store: RowStore) -> None:
        self._store = store

    def take(self, read: Iterable[Read], offset: int) -> None:
        """Fold a batch; `offset` is that of its last record, written with the rows."""
        batch = _Batch()
        for value, appended_ms in read:
            try:
                receipt = decode_receipt(value)
            except msgspec.MsgspecError:
                continue  # not ours: nobody else should write here, and nothing can be said of it
            batch.add(receipt, appended_ms + KEPT_MS)
        self._store.apply(batch.rows(self._store), offset)


class _Batch:
    def __init__(self) -> None:
        self._of_delivery: defaultdict[str, list[Receipt]] = defaultdict(list)
        self._rows: RowList = []
        self._counted: defaultdict[bytes, int] = defaultdict(int)
        self._expires_ms = 0

    def add(self, receipt: Receipt, expires_ms: int) -> None:
        # One instant for all rows of a batch: receipts are kept for days, a batch is a second.
        self._expires_ms = max(self._expires_ms, expires_ms)
        if receipt.kind == "delivery":
            self._of_delivery[receipt.delivery_id].append(receipt)
        else:
            self._remark(receipt)

    def rows(self, store: RowStore) -> RowList:
        told = list(self._of_delivery.values())
        keys = [_key_of(receipts[0]) for receipts in told]
        for key, known, receipts in zip(keys, store.get_many(keys), told, strict=True):
            self._fold(key, known, receipts)
        self._count(store)
        return self._rows

    def _fold(self, key: bytes, known: bytes | None, receipts: list[Receipt]) -> None:
        first = receipts[0]
        if known is None:
            before: DeliveryState | None = None
            broadcast_id = ids.from_text(first.broadcast_id) if first.broadcast_id else b""
            self._history(first, ids.from_text(first.notification_id))
        else:
            row = rows.decode_delivery(known)
            before, broadcast_id = row.state, row.broadcast_id
        state = fold(before, receipts)
        assert state is not None  # they are receipts of a delivery
        if state == before:
            return
        row = Delivery(first.user_id, broadcast_id, first.channel, first.type, state)
        self._rows.append((key, rows.encode_delivery(row, self._expires_ms)))
        if broadcast_id:
            if before is not None:
                self._counted[rows.count_key(broadcast_id, first.channel, before.status)] -= 1
            self._counted[rows.count_key(broadcast_id, first.channel, state.status)] += 1

    def _count(self, store: RowStore) -> None:
        keys = [key for key, change in self._counted.items() if change]
        for key, known in zip(keys, store.get_many(keys), strict=True):
            count = (rows.decode_count(known) if known else 0) + self._counted[key]
            self._rows.append((key, rows.encode_count(count, self._expires_ms)))

    def _remark(self, receipt: Receipt) -> None:
        about = ids.from_text(receipt.notification_id or receipt.broadcast_id)
        remark = Remark(
            receipt.kind, receipt.status, receipt.reason, receipt.occurred_at, receipt.user_id,
            receipt.channel, receipt.type,
        )  # fmt: skip
        receipt_id = ids.from_text(receipt.receipt_id)
        self._rows.append(rows.remark_row(about, receipt_id, remark, self._expires_ms))
        if receipt.user_id and receipt.status == "rejected":
            self._history(receipt, about)

    def _history(self, receipt: Receipt, notification_id: bytes) -> None:
        told = Told(_instant_ms(receipt.occurred_at), notification_id)
        self._rows.append(rows.history_row(receipt.user_id, told, self._expires_ms))


def _key_of(receipt: Receipt) -> bytes:
    notification_id = ids.from_text(receipt.notification_id)
    return rows.delivery_key(notification_id, ids.from_text(receipt.delivery_id))


@lru_cache(maxsize=1024)
def _instant_ms(text: str) -> int:
    """Whatever one batch decided happened at one instant, so few are asked for."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
