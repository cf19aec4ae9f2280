"""R5: the right to call a provider, for what Kafka cannot fence.

A lease is good while the last good group heartbeat, *by the time it was sent*, is younger than
the session timeout minus a margin, on a clock that goes on while the machine is suspended. So
whoever wakes from a suspension finds it stale before it can start a call.
"""

import asyncio
import time
from collections.abc import Callable

from streams.engine.ports import Lease
from streams.tails import Tails


def boot_seconds() -> float:
    """Seconds since boot, suspended time included; asyncio's clock stands still meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class HeartbeatLease:
    """Renewed from the consumer's thread, asked on the runner's loop."""

    def __init__(
        self,
        *,
        session_seconds: float,
        margin_seconds: float,
        now_seconds: Callable[[], float] = boot_seconds,
    ) -> None:
        self._good_for_seconds = session_seconds - margin_seconds
        self._now_seconds = now_seconds
        self._sent_at = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._renewed = asyncio.Event()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop on which waiters wait."""
        self._loop = loop

    def now_seconds(self) -> float:
        return self._now_seconds()

    def renew(self, sent_at: float) -> None:
        """A heartbeat sent then was answered: we were a member. Called from any thread."""
        self._sent_at = max(self._sent_at, sent_at)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def is_good(self) -> bool:
        return self._now_seconds() - self._sent_at < self._good_for_seconds

    async def wait_until_good(self) -> None:
        while not self.is_good():
            await self._renewed.wait()

    async def wait_until_renewed(self) -> None:
        """Until a heartbeat sent from now on was answered: nobody else has been given our
        partitions so far. Somebody whose membership is lost waits here until the process ends."""
        now = self._now_seconds()
        while self._sent_at < now:
            await self._renewed.wait()

    def _wake(self) -> None:
        self._renewed.set()
        self._renewed.clear()


class CallPermit:
    """A sender's right to call: the lease, and tails that have reached their end lately."""

    def __init__(self, lease: Lease, tails: Tails) -> None:
        self._lease = lease
        self._tails = tails

    def is_good(self) -> bool:
        return self._lease.is_good() and self._tails.is_fresh()

    async def wait_until_good(self) -> None:
        while not self.is_good():
            await self._lease.wait_until_good()
            await self._tails.wait_until_fresh()
