"""How bulk work shares a worker with what is urgent: in steps, of which one runs at a time.

A step is what a generator does between two of its yields, or until it waits for something. A
request for one person takes several turns of the event loop to be committed, and would wait
for a step of a broadcast in each of them.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterator

_RESTS = 6
"""Times as long as its last step bulk work rests while something urgent is being committed: however
busy the worker, a seventh of the time is left to it."""
_SHARED_SECONDS = 0.25
"""Without anything urgent, and the worker belongs to bulk work alone."""


class BulkTurns:
    """One for all partitions of a process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._urgent = 0
        self._is_calm = asyncio.Event()
        self._is_calm.set()
        self._urgent_until = -math.inf
        self._rests_until = -math.inf

    @property
    def are_short(self) -> bool:
        """Something urgent shares the worker: it should not have to wait for a long step."""
        return self._urgent > 0 or _now() < self._urgent_until

    @contextlib.contextmanager
    def urgent(self) -> Iterator[None]:
        """While something urgent is being committed."""
        self._urgent += 1
        self._is_calm.clear()
        try:
            yield
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._urgent_until = _now() + _SHARED_SECONDS
                self._is_calm.set()

    async def wait(self) -> None:
        """Returns when a step of bulk work may begin, which must not wait before it begins."""
        async with self._lock:
            await asyncio.sleep(0)  # whatever became ready meanwhile goes first
            while self._urgent and _now() < self._rests_until:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(self._rests_until):
                        await self._is_calm.wait()
            asyncio.get_running_loop().call_soon(self._end_step, _now())

    def _end_step(self, began: float) -> None:
        now = _now()
        self._rests_until = max(self._rests_until, now + _RESTS * (now - began))


def _now() -> float:
    return asyncio.get_running_loop().time()
