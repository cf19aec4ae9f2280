"""A selection of dead letters counted, and put back no faster than its operator wants."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from policies.clock import Clock
from schemas.dead_letter import DeadLetter
from streams.letters.reading import Letters, Selection
from streams.letters.replaying import NotReplayable, PutBack, Replay
from streams.outbox import Outbox


@dataclass(slots=True)
class Counts:
    """What a selection holds."""

    letters: int = 0
    weight: int = 0
    going: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By stage, cause and kind: deliveries or records."""
    staying: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By stage, cause and why."""

    def add(self, letter: DeadLetter, fate: PutBack | NotReplayable) -> None:
        if isinstance(fate, NotReplayable):
            self.staying[letter.stage, letter.cause, fate.why] += 1
            return
        self.letters += 1
        self.weight += fate.weight
        self.going[letter.stage, letter.cause, letter.kind] += fate.weight

    def rows(self) -> list[dict[str, Any]]:
        going = [
            {"stage": stage, "cause": cause, "count": count, "replay": kind}
            for (stage, cause, kind), count in sorted(self.going.items())
        ]
        return going + [
            {"stage": stage, "cause": cause, "count": count, "replay": f"stays: {why}"}
            for (stage, cause, why), count in sorted(self.staying.items())
        ]

    def as_json(self, *, is_done: bool) -> dict[str, Any]:
        return {"put_back": is_done, "letters": self.letters, "weight": self.weight,
                "by_cause": self.rows()}  # fmt: skip


class Pace:
    """So many deliveries or records a second; a letter of many makes the next one wait longer."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._per_second = per_second
        self._clock = clock
        self._next_at = clock.elapsed_seconds()

    def due_in(self, weight: int) -> float:
        """Seconds until the next letter may go; it is taken to go then."""
        now = self._clock.elapsed_seconds()
        at = max(self._next_at, now)
        self._next_at = at + weight / self._per_second
        return at - now


class PuttingBack:
    """One run. What it counts is what it puts back: letters come no later than `letters` saw."""

    def __init__(self, letters: Letters, selection: Selection, replay: Replay) -> None:
        self._letters = letters
        self._selection = selection
        self._replay = replay

    async def count(self) -> Counts:
        counts = Counts()
        async for found in self._letters.select(self._selection):
            counts.add(found.letter, self._replay.of(found.letter))
        return counts

    async def put_back(
        self, outbox: Outbox, pace: Pace, *, on_progress: Callable[[int], None]
    ) -> None:
        """Return when every record is acknowledged; broken off, it may be run again."""
        async for found in self._letters.select(self._selection):
            fate = self._replay.of(found.letter)
            if isinstance(fate, PutBack):
                await asyncio.sleep(pace.due_in(fate.weight))
                await outbox.send(fate.record)
                on_progress(fate.weight)
        await outbox.flush()
