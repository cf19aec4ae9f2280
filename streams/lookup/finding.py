"""What is known of one notification or broadcast: from a lookup's rows, and from the receipts that
it has not read yet, or from the receipts alone where no lookup runs."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from schemas import ids
from schemas.kafka import TopicPartition
from schemas.topics import RECEIPTS
from streams.config import Config
from streams.lookup import rows
from streams.lookup.folding import Folding, Read
from streams.lookup.rows import Delivery, Remark
from streams.lookup.stored import Stored, stored
from streams.reading import Reader


@dataclass(slots=True)
class Found:
    """A notification has deliveries, a broadcast counts; a refused request only remarks."""

    deliveries: dict[bytes, Delivery] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Deliveries of a broadcast by channel and status."""
    remarks: list[Remark] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.deliveries or self.counts or self.remarks)


async def find(config: Config, wanted: bytes, *, since_ms: int) -> Found:
    """Of a notification's or broadcast's id; nothing found is a `Found` that is false.

    Receipts that no lookup has are read from `since_ms` on: those of the one partition that the
    id names, and of all others only when they may hold a broadcast's.
    """
    async with Reader(names=config.kafka.names, connection=config.kafka.connection()) as reader:
        search = _Search(reader, config.data_dir, wanted, since_ms)
        home = ids.partition_of_id(wanted, config.partitions)
        await search.look_in(home)
        if not search.found.deliveries:
            for partition in range(config.partitions):
                if partition != home:
                    await search.look_in(partition)
        search.found.remarks.sort(key=lambda remark: remark.occurred_at)
        return search.found


class _Search:
    def __init__(self, reader: Reader, data_dir: Path, wanted: bytes, since_ms: int) -> None:
        self._reader = reader
        self._data_dir = data_dir
        self._wanted = wanted
        self._text = ids.to_text(wanted).encode()
        self._since_ms = since_ms
        self.found = Found()

    async def look_in(self, partition: int) -> None:
        with stored(self._data_dir, partition) as store:
            await self._catch_up(store, TopicPartition(RECEIPTS, partition))
            self.found.deliveries |= rows.deliveries_of(store, self._wanted)
            self.found.counts.update(rows.counts_of(store, self._wanted))
            self.found.remarks += rows.remarks_of(store, self._wanted)

    async def _catch_up(self, store: Stored, place: TopicPartition) -> None:
        """Fold in, for ourselves, what the lookup has not read."""
        end = (await self._reader.ends([place]))[place]
        if store.offset is not None and store.offset < end:
            start = store.offset + 1
        else:
            start = (await self._reader.at([place], self._since_ms))[place]
        async for chunk in self._reader.read(place, start, end):
            ours = [
                Read(record.value, record.timestamp)
                for record in chunk
                if record.value is not None and self._text in record.value
            ]
            if ours:
                Folding(store).take(ours, chunk[-1].offset)
