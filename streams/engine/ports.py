"""What the engine needs of the outside, one protocol each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from schemas.kafka import InboundRecord, Record, TopicPartition
from tables.packing import Rows
from tables.state import Kind


@dataclass(slots=True)
class Transaction:
    """What becomes durable together. `rows[kind]` holds the last write of each key."""

    rows: tuple[Rows, Rows] = field(default_factory=lambda: ({}, {}))
    records: list[Record] = field(default_factory=list)
    """Logical topic names, in staging order."""


class Committed(NamedTuple):
    """Where the rows of a transaction ended in their changelogs, by kind; None where it had none."""

    offsets: tuple[int | None, int | None]


class TransactionLog(Protocol):
    """The one transactional producer of a role-partition (R1)."""

    async def start(self) -> None:
        """Fence every earlier owner and abort what it left open."""
        ...

    def restored(self, ends: tuple[int, int]) -> None:
        """The owner knows the changelogs up to these offsets, by kind."""
        ...

    async def commit(self, transaction: Transaction) -> Committed:
        """Make it durable. Whatever this raises, the process must end: memory may be ahead."""
        ...

    async def close(self) -> None: ...


class RestoreReport(NamedTuple):
    """How a store reached the end of its changelog."""

    rows: int
    seconds: float
    ends: tuple[int, int]
    """Of the changelogs, by kind: what lies before is in the store."""


class PartitionStore(Protocol):
    """The two local stores of a role-partition: a prefix of the committed changelogs."""

    def get(self, kind: Kind, key: bytes) -> bytes | None: ...

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def scan(
        self, kind: Kind, start: bytes, end: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]: ...

    def apply(self, kind: Kind, rows: Rows, offset: int) -> None:
        """Rows and changelog offset in one atomic write; refuses an offset not newer (`StaleRows`)."""
        ...

    async def restore(self) -> RestoreReport:
        """Read both changelogs to their committed ends."""
        ...

    def tidy(self, now_ms: int, horizon_ms: int) -> None:
        """A little housekeeping, now and then: forget some rows that have expired.

        `horizon_ms`: no record that is still to be handled was appended before it.
        """
        ...

    def merge_at_rest(self) -> None:
        """To be called about once a second: what nothing is written to for some calls has its files put
        in order."""
        ...

    def close(self) -> None: ...


class Lease(Protocol):
    """R5: no provider call starts unless the last good group heartbeat is young enough."""

    def is_good(self) -> bool: ...

    async def wait_until_good(self) -> None: ...


class IntakeControl(Protocol):
    """Stops and resumes the fetching of one topic-partition, and knows how fresh it is."""

    def pause(self, source: TopicPartition) -> None: ...

    def resume(self, source: TopicPartition) -> None: ...

    def heard_ms(self, source: TopicPartition) -> int:
        """When its broker was last asked for more than has been pushed, and had none; 0 if that has not
        been yet since the take-over. Stands still while the broker cannot be reached, or has records
        that nobody may read before a transaction ends."""
        ...


class Clock(Protocol):
    """The only source of the instant that a batch is decided at."""

    def now_ms(self) -> int: ...

    def believed_ms(self) -> int | None:
        """The same, for what cannot be taken back; None until it was compared with another clock, and
        whatever it raises ends the process: it was set."""
        ...


class Observer(Protocol):
    """What the engine tells metrics and logs. Every method returns at once and never raises."""

    def record_in(self, record: InboundRecord) -> None: ...

    def forwarded(self, topic: str) -> None: ...

    def dead_lettered(self, stage: str, cause: str) -> None: ...

    def stage_raised(self, stage: str, error: Exception) -> None: ...

    def run_abandoned(self, stage: str, items: int) -> None:
        """A generator outlived the drain of its partition; its items will be read again."""
        ...

    def committed(self, partition: int, transaction: Transaction) -> None: ...

    def restored(self, partition: int, report: RestoreReport) -> None: ...

    def source_recreated(self, source: TopicPartition, position: int, end: int) -> None:
        """The topic ends before our position: it is another topic now, read from its beginning."""
        ...

    def records_lost(self, source: TopicPartition, position: int, begin: int) -> None:
        """Retention has removed records that were not done: the loss alarm."""
        ...
