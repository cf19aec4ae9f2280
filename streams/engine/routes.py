"""What a role is made of: its sources, its timers, and the stage each one feeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agents.stage import Stage
from schemas.kafka import InboundRecord, Record
from streams.engine.items import Taken
from tables.state import State

Haste = Literal["urgent", "usual", "bulk"]
"""Urgent: somebody waits for what comes of it, so bulk work rests while it is being committed. Bulk:
works in turns, one at a time in the process, and none while a full group commit waits."""


@dataclass(frozen=True, slots=True)
class Source:
    """A topic and the stage that reads it."""

    topic: str
    stage: Stage[Any]
    decode: Callable[[InboundRecord], Any]
    """Bytes to the stage's value; raises `ValueError` (`Undecodable`): a dead letter."""
    priority: int = 1
    """Served in this order when several wait."""
    take: int = 500
    """Records a batch at the most."""
    width: int = 1
    """Batches in flight a partition: one for a stage that decides, many for one that sends."""
    haste: Haste = "usual"
    user_of: Callable[[Any], str] | None = None
    """The user whose partition the record must be in; None where any partition will do."""
    needs_permit: bool = False
    """Its stage delivers, so its batches start only while calls may: what stops a delivery must be
    known, and a call that is intended while none may begin is in doubt if the process ends."""
    tells_state: bool = False
    """What it says counts in decisions: a batch is told up to when it has been read."""
    split: Callable[[InboundRecord], Sequence[InboundRecord]] | None = None
    """A record as the records that it holds, or itself; None where none holds many."""
    is_forwarded: bool = False
    """Its records carry the coordinates of their origin, and are never forwarded again."""

    @property
    def name(self) -> str:
        return self.topic


class Due(Protocol):
    """Rows that wait until their time has come."""

    def due(self, state: State, now_ms: int, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Rows (key, value) whose time has come."""
        ...

    def next_due_ms(self, state: State) -> int | None:
        """No row comes due before it, unless a durable row is written; None: none at all."""
        ...


@dataclass(frozen=True, slots=True)
class Timer:
    """Rows that come due, and the stage that is handed them."""

    name: str
    stage: Stage[Any]
    rows: Due
    decode: Callable[[bytes], Any]
    priority: int = 1
    take: int = 200
    width: int = 1
    haste: Haste = "usual"
    needs_permit: bool = False


class Envelopes(Protocol):
    """How the engine writes what a stage never sees: dead letters and forwarded records."""

    def item(self, record: InboundRecord, *, is_forwarded: bool) -> Taken[Any]:
        """The item of a record, its value not decoded yet; a forwarded one speaks for its origin."""
        ...

    def explain(self, error: Exception) -> tuple[str, str]:
        """Cause and detail of a record that did not decode."""
        ...

    def dead_letter(
        self, item: Taken[Any], *, stage: str, cause: str, detail: str, now_ms: int
    ) -> Record: ...

    def homes(self, user_ids: Sequence[str]) -> Sequence[int]:
        """The partition of each of these users."""
        ...

    def forward(self, item: Taken[Any], partition: int) -> Record:
        """The record for its user's own partition."""
        ...


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole role, top to bottom."""

    role: str
    sources: tuple[Source, ...]
    timers: tuple[Timer, ...]
    envelopes: Envelopes

    def routes(self) -> list[Source | Timer]:
        """Most urgent first."""
        both: list[Source | Timer] = [*self.sources, *self.timers]
        return sorted(both, key=lambda route: route.priority)
