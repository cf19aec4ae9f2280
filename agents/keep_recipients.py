"""Reads recipients.changed, .imported, .derived; writes addresses.changed, recipients.derived;
remembers profiles and memberships."""

from collections.abc import AsyncIterator
from functools import partial

from agents.portions import halves, portions
from agents.recipient_edits import RecipientEdits
from agents.stage import Batch, Effects, Item
from schemas import ids
from schemas.kafka import Record
from schemas.recipient import RecipientChange
from schemas.recipient_events import DerivedChange, ImportBatch, encode_derived, encode_import
from schemas.topics import RECIPIENTS_DERIVED, RECIPIENTS_IMPORTED

RecipientNews = RecipientChange | ImportBatch | list[DerivedChange]

RECIPIENTS_A_YIELD = 1000
"""Bounds the bytes of a transaction, and how long others of the partition wait for it."""


class KeepRecipients:
    """What is said of a recipient becomes their profile; what is known already changes nothing."""

    name = "keep_recipients"

    def __init__(self, *, partitions: int, address_key: bytes) -> None:
        """`address_key` is the secret of the keyed hash of addresses."""
        self._partitions = partitions
        self._hash_of = partial(ids.address_hash, address_key)

    async def handle(self, batch: Batch[RecipientNews]) -> AsyncIterator[Effects]:
        for items in portions(batch.items, _recipients_in, RECIPIENTS_A_YIELD):
            edits = RecipientEdits(batch.state, hash_of=self._hash_of)
            edits.load([item.value for item in items])
            for item in items:
                edits.apply(item.value, item.offset)
            yield Effects(edits.rows(), edits.records(self._partitions), items)

    def give_up(
        self, batch: Batch[RecipientNews], item: Item[RecipientNews], cause: str
    ) -> Effects:
        """What was known before still holds; of many, the others are said again."""
        news, records = item.value, list[Record]()
        if isinstance(news, ImportBatch) and len(news.items) > 1:
            for half in halves(news.items):
                value = encode_import(ImportBatch(list(half), news.tenant))
                records.append(Record(RECIPIENTS_IMPORTED, batch.partition, value))
        elif isinstance(news, list) and len(news) > 1:
            for part in halves(news):
                value = encode_derived(list(part))
                records.append(Record(RECIPIENTS_DERIVED, batch.partition, value))
        return Effects(records=records, done=[item] if records else [])


def _recipients_in(news: RecipientNews) -> int:
    if isinstance(news, ImportBatch):
        return len(news.items)
    return len(news) if isinstance(news, list) else 1
