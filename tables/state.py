"""What a stage may read, and the rows it may write: two stores a partition.

`TRANSIENT` rows (decisions, caps, attempts) carry their own expiry and ride in a packed
changelog; `DURABLE` rows (recipients, memberships, schedule, positions) are compacted, one
record a row. Both kinds are written only by yielding rows: a stage never touches a store.
"""

import enum
from collections.abc import Sequence
from typing import Protocol

import msgspec


class Kind(enum.IntEnum):
    """Which of a partition's two stores."""

    TRANSIENT = 0
    DURABLE = 1


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row to be written; `value` None deletes it."""

    kind: Kind
    key: bytes
    value: bytes | None


class State(Protocol):
    """One partition's rows as of the moment of the read, staged ones of earlier yields included.

    What was read is stale after a `yield`: another generator may have written since.
    """

    @property
    def partition(self) -> int: ...

    def get(self, kind: Kind, key: bytes) -> bytes | None: ...

    def get_many(self, kind: Kind, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of `keys`, None where there is no row."""
        ...

    def scan(self, kind: Kind, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """At most `limit` rows with start <= key < end, in key order."""
        ...


class StoreFailed(RuntimeError):
    """Raised when a local store cannot be read or written (damage, a full disk).

    It is never a stage's fault: the process ends with the cause instead of going on with
    partial state or giving up innocent items.
    """


class StoreDamaged(StoreFailed):
    """Raised when what is on the disk is no store, or one with holes: only building it anew helps."""


class ChangelogCut(StoreFailed):
    """Raised when a changelog no longer holds all that a store is made of, so that building it anew
    would leave a part out: positions, opt-outs, what was sent."""


class StaleRows(StoreFailed):
    """Raised when rows not newer than what is stored were to be applied: a late owner."""
