"""The batch a stage is handed: items, an instant, the partition's state, and its calls."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from agents.stage import Effects
from schemas.outcome import Outcome
from streams.engine.calls import BatchCalls, CallT, Send
from streams.engine.items import Taken
from tables.state import State


class EngineBatch:
    """A `Batch` of the real thing; remembers which of its items are finished."""

    def __init__(
        self,
        *,
        items: Sequence[Taken[Any]],
        state: State,
        now_ms: int,
        known_ms: int,
        calls: BatchCalls,
        is_short: bool,
    ) -> None:
        self.items = items
        self.state = state
        self.partition = state.partition
        self.now_ms = now_ms
        self.known_ms = known_ms
        self.is_short = is_short
        self._calls = calls
        self._finished: set[int] = set()

    async def permit(self) -> None:
        await self._calls.permit()

    def exposing(self, recipients: int) -> AbstractAsyncContextManager[None]:
        return self._calls.exposing(recipients)

    def calls(
        self, calls: Sequence[CallT], send: Send[CallT]
    ) -> AsyncIterator[list[tuple[CallT, Sequence[Outcome]]]]:
        return self._calls.run(calls, send)

    async def end_calls(self) -> None:
        await self._calls.end()

    def note_finished(self, effects: Effects) -> None:
        self._finished.update(id(item) for item in effects.done)

    def unfinished(self) -> list[Taken[Any]]:
        return [item for item in self.items if id(item) not in self._finished]
