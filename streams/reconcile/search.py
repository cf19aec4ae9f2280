"""Looks for deliveries that are not settled where they may be: in queues and in schedules."""

from collections.abc import Sequence

from schemas.delivery import CHANNELS, LANES, Channel
from schemas.kafka import TopicPartition
from schemas.topics import deliveries
from streams.reading import Reader
from streams.reconcile.deliveries import Open
from streams.reconcile.snapshot import Snapshot, durable
from streams.reconcile.whereabouts import Rows, in_batch
from streams.topology import DECIDE

Missing = dict[bytes, Open]
"""By delivery id."""

_ELSEWHERE: Channel = "sms"
_AT_HOME: Sequence[Channel] = tuple(each for each in CHANNELS if each != _ELSEWHERE)
"""Channels whose deliveries are in the partition of their users."""


class Search:
    """What it finds it takes out of `missing`.

    A queue counts from where its role had read to when the reconciliation began, a schedule as
    it was then and with all that came since: a delivery that is on the move is found on its way.
    """

    def __init__(self, reader: Reader, taken: Snapshot) -> None:
        self._reader = reader
        self._taken = taken

    async def at_home(self, missing: Missing, partition: int) -> None:
        """In everything that goes by the users' partition."""
        for channel in _AT_HOME:
            await self._in_channel(missing, channel, partition)
        if missing:
            await self._in_rows(missing, DECIDE, partition)

    async def elsewhere(self, missing: Missing, partitions: int) -> None:
        """In every partition of what goes by the sender's."""
        for partition in range(partitions):
            await self._in_channel(missing, _ELSEWHERE, partition)

    async def _in_channel(self, missing: Missing, channel: Channel, partition: int) -> None:
        if not any(each.channel == channel for each in missing.values()):
            return
        for lane in LANES:
            await self._in_queue(missing, TopicPartition(deliveries(channel, lane), partition))
        await self._in_rows(missing, channel, partition)

    async def _in_queue(self, missing: Missing, place: TopicPartition) -> None:
        start, end = await self._bounds(place)
        start = max(start, self._taken.read.get(place, 0))
        async for chunk in self._reader.read(place, start, end):
            for record in chunk:
                for delivery_id in in_batch(record.value or b""):
                    missing.pop(delivery_id, None)

    async def _in_rows(self, missing: Missing, role: str, partition: int) -> None:
        place = durable(role, partition)
        until = self._taken.changelog_ends[place]
        rows = Rows(is_sender=role != DECIDE, wanted=missing, until=until)
        async for chunk in self._reader.read(place, *await self._bounds(place)):
            for record in chunk:
                if record.key is not None:
                    rows.note(record.key, record.value, record.offset)
        for delivery_id in rows.found():
            missing.pop(delivery_id, None)

    async def _bounds(self, place: TopicPartition) -> tuple[int, int]:
        begins, ends = await self._reader.begins([place]), await self._reader.ends([place])
        return begins[place], ends[place]


def left_elsewhere(missing: Missing) -> Missing:
    """Take out those that may still be found elsewhere."""
    away = {key: each for key, each in missing.items() if each.channel == _ELSEWHERE}
    for delivery_id in away:
        del missing[delivery_id]
    return away
