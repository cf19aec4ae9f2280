"""Reads parked deliveries whose pause is over; writes nothing; remembers them as due now.

They go on through the schedule of their lane and take rate tokens like any other, so that a
resume after a week is no burst.
"""

from collections.abc import AsyncIterator

from agents.stage import Batch, Effects, Item
from policies.stops import StopList
from schemas.delivery import DeliveryBatch, encode_batch
from tables import parked
from tables.send_schedule import SCHEDULES
from tables.state import Row, State

YIELD_BYTES = 512 * 1024
"""Half of what one group commit may hold."""


class Release:
    """Moves what is no longer held from the parked rows to the schedule."""

    name = "release"

    def __init__(self, *, stops: StopList) -> None:
        self._stops = stops

    def due(self, state: State, now_ms: int, limit: int) -> list[tuple[bytes, bytes]]:
        """Rows to be handed to `handle`; a pause is not over by the clock, so `now_ms` is unused."""
        return parked.released(state, self._stops.is_paused, limit)

    def next_due_ms(self, state: State) -> int | None:
        """At any time, if anything is parked."""
        return 0 if parked.is_any(state) else None

    async def handle(self, batch: Batch[DeliveryBatch]) -> AsyncIterator[Effects]:
        rows: list[Row] = []
        done: list[Item[DeliveryBatch]] = []
        size = 0
        for item in batch.items:
            row = _due_now(item, batch.now_ms)
            rows.append(row)
            done.append(item)
            size += len(row.value or b"")
            if size >= YIELD_BYTES:
                yield Effects(rows, done=done)
                rows, done, size = [], [], 0
        if done:
            yield Effects(rows, done=done)

    def give_up(
        self, batch: Batch[DeliveryBatch], item: Item[DeliveryBatch], cause: str
    ) -> Effects:
        """The sender will settle it: nothing here depends on what the deliveries say."""
        return Effects([_due_now(item, batch.now_ms)])


def _due_now(item: Item[DeliveryBatch], now_ms: int) -> Row:
    assert item.row_key is not None  # only parked rows are released
    row_id = parked.row_id_of(item.row_key)
    return SCHEDULES[item.value.lane].put(now_ms, row_id, encode_batch(item.value))
