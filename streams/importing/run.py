"""One import: rows of a file become batch records, bad lines are told, nothing is held in memory."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from schemas.kafka import Record
from streams.importing.batching import Batches
from streams.importing.lines import BadLine, Row, parse
from streams.names import Names
from streams.outbox import Outbox

_ROWS_A_TURN = 512
"""Then the event loop has its turn, and the progress is told."""

OnBad = Callable[[list[BadLine], Row | None], None]
"""All that is wrong with a line, and the line as far as it could be read."""


@dataclass(slots=True)
class Tally:
    """How far an import has come."""

    imported: int = 0
    bad: int = 0


class Import:
    """Writes recipients in the order of the file; a user's lines stay in theirs."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        *,
        names: Names,
        partitions: int,
        on_bad: OnBad,
        on_progress: Callable[[Tally], None],
    ) -> None:
        self._outbox = Outbox(producer, names=names)
        self._batches = Batches(partitions=partitions)
        self._on_bad = on_bad
        self._on_progress = on_progress
        self._tally = Tally()

    async def run(self, rows: Iterable[Row | BadLine], *, as_of_ms: int) -> Tally:
        """Return when every record is acknowledged; once to be called."""
        for number, row in enumerate(rows, 1):
            full = self._take(row, as_of_ms)
            if full is not None:
                await self._outbox.send(full)
            if number % _ROWS_A_TURN == 0:
                self._on_progress(self._tally)
                await asyncio.sleep(0)
        for record in self._batches.rest():
            await self._outbox.send(record)
        await self._outbox.flush()
        self._on_progress(self._tally)
        return self._tally

    def _take(self, row: Row | BadLine, as_of_ms: int) -> Record | None:
        if isinstance(row, BadLine):
            self._tally.bad += 1
            self._on_bad([row], None)
            return None
        parsed = parse(row, as_of_ms=as_of_ms)
        if isinstance(parsed, list):
            self._tally.bad += 1
            self._on_bad(parsed, row)
            return None
        self._tally.imported += 1
        return self._batches.add(parsed)
