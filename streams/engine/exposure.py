"""How many recipients would be in doubt if the process ended now: who is intended, and not told of.

Fewer is kinder to people and slower with a provider that takes its time. Each urgency has a bound
of its own, so that a campaign keeps no login code waiting.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_EXPOSED = 4000


class Exposure:
    """Whoever waits is next in turn; one that exceeds the bound alone goes when nobody else does."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._exposed: Counter[int] = Counter()
        self._waiting: defaultdict[int, deque[tuple[int, asyncio.Future[None]]]] = defaultdict(
            deque
        )
        self._is_draining = False

    def is_half_used(self, urgency: int) -> bool:
        return 2 * self._exposed[urgency] > self._limit

    @asynccontextmanager
    async def of(self, recipients: int, urgency: int) -> AsyncIterator[None]:
        """Wait for a turn, or until the role drains, when nothing is intended any more."""
        await self._enter(recipients, urgency)
        try:
            yield
        finally:
            self._leave(recipients, urgency)

    def drain(self) -> None:
        self._is_draining = True
        for urgency in list(self._waiting):
            self._wake(urgency)

    def reopen(self) -> None:
        self._is_draining = False

    async def _enter(self, recipients: int, urgency: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[urgency].append((recipients, turn))
        self._wake(urgency)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was our turn
                self._leave(recipients, urgency)
            raise

    def _leave(self, recipients: int, urgency: int) -> None:
        self._exposed[urgency] -= recipients
        self._wake(urgency)

    def _wake(self, urgency: int) -> None:
        waiting = self._waiting[urgency]
        while waiting:
            recipients, turn = waiting[0]
            if not turn.done():
                if not self._has_room(recipients, urgency):
                    return
                self._exposed[urgency] += recipients
                turn.set_result(None)
            waiting.popleft()

    def _has_room(self, recipients: int, urgency: int) -> bool:
        exposed = self._exposed[urgency]
        return not exposed or exposed + recipients <= self._limit or self._is_draining
