"""Whether everything that was said has been acted upon, and until when the rest waits."""

from collections.abc import Collection, Sequence

from streams.engine.partition import Partition
from streams.topology import DECIDE
from tables import broadcasts, parked, send_schedule, waiting
from tables.schedule import DueTable
from tables.state import Kind
from tests.simulation.broker import Broker
from tests.simulation.process import Process

BUSY = -1
"""Something is on its way."""
NEVER = 1 << 62
"""Nothing is on its way, and nothing waits."""

_FAR_MS = 3_600_000
"""Rows that come due later than this wait for nothing that the simulation is about."""
_DECIDING: Sequence[DueTable] = (waiting.SCHEDULE, broadcasts.PROGRESS)
_SENDING: Sequence[DueTable] = tuple(send_schedule.SCHEDULES.values())
_AFTER_PARKED = bytes([parked.PREFIX[0] + 1])


def waits_until(
    processes: Collection[Process],
    roles: Collection[str],
    partitions: int,
    broker: Broker,
    now_ms: int,
) -> int:
    """The instant that the next row comes due while nothing else happens; `BUSY` or `NEVER`."""
    held = dict.fromkeys(roles, 0)
    for process in processes:
        if process.domain.is_suspended or process.is_committing or process.runner.gate.open_calls:
            return BUSY
        held[process.role] += len(process.runner.partitions)
    if any(count != partitions for count in held.values()):
        return BUSY
    next_ms = NEVER
    for process in processes:
        for partition in process.runner.partitions:
            if not _has_read_all(partition, broker):
                return BUSY
            next_ms = min(next_ms, _next_due_ms(partition, process.role))
    if next_ms > now_ms + _FAR_MS:
        return NEVER
    return next_ms if next_ms > now_ms else BUSY


def _has_read_all(partition: Partition, broker: Broker) -> bool:
    return all(
        (position.next_offset or 0) >= broker.log(place).end_for_readers()
        for place, position in partition.positions.items()
    )


def _next_due_ms(partition: Partition, role: str) -> int:
    state = partition.state
    if role == DECIDE:
        tables = _DECIDING
    else:
        tables = _SENDING
        if state.scan(Kind.DURABLE, parked.PREFIX, _AFTER_PARKED, 1):
            return 0
    dues = [table.next_due_ms(state) for table in tables]
    return min((due for due in dues if due is not None), default=NEVER)
