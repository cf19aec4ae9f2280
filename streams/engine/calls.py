"""Provider calls: started only under the lease, bounded for the role, ended by a drain.

The runner owns them, not the stage: a generator that is thrown away leaves no call behind
that nobody counts, and a drain knows what is still open (R4, R5).
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from agents.stage import Call
from schemas.outcome import NotProcessed, Outcome, Unknown
from streams.engine.exposure import MAX_EXPOSED, Exposure
from streams.engine.ports import Lease

CallT = TypeVar("CallT", bound=Call)
Send = Callable[[CallT], Awaitable[Sequence[Outcome]]]


class CallGate:
    """How many calls of the role may be open, and whether another may start at all."""

    def __init__(self, *, limit: int, lease: Lease, max_exposed: int = MAX_EXPOSED) -> None:
        self._lease = lease
        self.exposure = Exposure(max_exposed)
        self._free = limit
        self._waiters: defaultdict[int, deque[asyncio.Future[None]]] = defaultdict(deque)
        """By urgency, the least number first."""
        self._draining = asyncio.Event()
        self._open: set[asyncio.Task[object]] = set()
        self.is_cut = False

    @property
    def open_calls(self) -> int:
        return len(self._open)

    @property
    def may_call(self) -> bool:
        return self._lease.is_good()

    async def permit(self) -> None:
        """Wait until calls may start, or the role drains."""
        while not self._draining.is_set() and not self._lease.is_good():
            await self._either(self._lease.wait_until_good())

    async def enter(self, urgency: int = 0) -> bool:
        """True when the caller may call now, at once; False when the role is draining.

        Of those who wait for a place the most urgent (least `urgency`) is next: a login code does
        not wait behind thousands of a campaign that a slow provider holds up.
        """
        while not self._draining.is_set():
            if not self._lease.is_good():
                await self.permit()
            elif self._free:
                self._free -= 1
                task = asyncio.current_task()
                assert task is not None  # enter is awaited inside a task by construction
                self._open.add(task)
                return True
            else:
                await self._wait_for_a_place(urgency)
        return False

    def leave(self) -> None:
        self._free += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.discard(task)
        self._wake_one()

    def drain(self) -> None:
        """No call starts from now on; those waiting for a place come back as not processed."""
        self._draining.set()
        self.exposure.drain()
        while self._wake_one():
            pass

    def cut(self) -> None:
        """The drain's bound has passed: end the open calls, whose answers nobody will know."""
        self.is_cut = True
        for task in self._open:
            task.cancel()

    def reopen(self) -> None:
        """Partitions were taken over: calls may start again."""
        self._draining.clear()
        self.exposure.reopen()
        self.is_cut = False

    async def _wait_for_a_place(self, urgency: int) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[urgency].append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it was our turn: that must not be lost with us
                self._wake_one()
            raise

    def _wake_one(self) -> bool:
        """Tell the next one that still waits, if any; who was cancelled meanwhile hears nothing."""
        for urgency in sorted(self._waiters):
            waiters = self._waiters[urgency]
            while waiters:
                waiter = waiters.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return True
        return False

    async def _either(self, condition: Awaitable[None]) -> None:
        tasks = (asyncio.ensure_future(condition), asyncio.create_task(self._draining.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


class BatchCalls:
    """The calls of one batch; `end` is for a generator that stopped listening."""

    def __init__(self, gate: CallGate, *, urgency: int = 0) -> None:
        self._gate = gate
        self._urgency = urgency
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(
        self, calls: Sequence[CallT], send: Send[CallT]
    ) -> AsyncIterator[list[tuple[CallT, Sequence[Outcome]]]]:
        """Each call once, with its outcomes, in groups as they finish; then the first bug, if any."""
        finished: list[tuple[CallT, Sequence[Outcome]]] = []
        bugs: list[Exception] = []
        progress = asyncio.Event()

        async def make(call: CallT) -> None:
            try:
                finished.append((call, await self._make(call, send)))
            except Exception as bug:
                bugs.append(bug)
            finally:  # also of one that was cancelled: its item is not done, which is a bug by itself
                progress.set()

        tasks = [asyncio.create_task(make(call)) for call in calls]
        self._tasks.update(tasks)
        while finished or not all(task.done() for task in tasks):
            await progress.wait()
            progress.clear()
            if finished:
                group, finished[:] = list(finished), []
                yield group
        self._tasks.difference_update(tasks)
        if bugs:
            raise bugs[0]

    async def permit(self) -> None:
        await self._gate.permit()

    def exposing(self, recipients: int) -> AbstractAsyncContextManager[None]:
        return self._gate.exposure.of(recipients, self._urgency)

    async def end(self) -> None:
        """Wait for calls whose answers nobody reads any more: they must not outlive the batch."""
        if self._tasks:
            await asyncio.wait(self._tasks)
            self._tasks.clear()

    async def _make(self, call: CallT, send: Send[CallT]) -> Sequence[Outcome]:
        if not await self._gate.enter(self._urgency):
            return [NotProcessed(reason="draining")] * call.size
        try:
            return await send(call)
        except asyncio.CancelledError:
            if not self._gate.is_cut:
                raise
            return [Unknown(reason="cut_off")] * call.size
        finally:
            self._gate.leave()
