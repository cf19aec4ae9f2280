"""`VirtualLoop`: an event loop whose time jumps to the next timer, and whose processes can stop.

Every callback belongs to the process whose context it runs in. Callbacks of a dead process are
dropped, those of a suspended one are kept until it wakes: exactly what kill -9 and SIGSTOP do.
"""

import asyncio
import contextlib
import contextvars
import heapq
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START_MS = 1_750_000_000_000
"""Virtual time begins at an ordinary instant, so that local days and zones mean something."""


class Deadlock(AssertionError):
    """Raised when nothing is ready, nothing is scheduled, and the simulation is not over."""


class Domain:
    """A process as the loop sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.is_suspended = False
        self.suspended_at: list[float] = []
        self.held: list[asyncio.Handle] = []


DOMAIN: contextvars.ContextVar[Domain | None] = contextvars.ContextVar("domain", default=None)


class VirtualLoop(asyncio.BaseEventLoop):
    """Deterministic: no sockets, no threads, no clock but its own."""

    _ready: deque[Any]  # the base class's own queues and handles, which its stubs leave out
    _scheduled: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self._now_seconds = 0.0
        self._tasks: list[asyncio.Task[Any]] = []  # a dead process's tasks must not be collected
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return self._now_seconds

    def now_ms(self) -> int:
        return START_MS + int(self._now_seconds * 1000)

    def elapsed_seconds(self) -> float:
        return self._now_seconds

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` is done; nothing else is waited for."""
        asyncio.set_event_loop(self)
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._turn()
            return task.result()
        finally:
            asyncio._set_running_loop(None)
            asyncio.set_event_loop(None)

    def dispose(self) -> None:
        """Unwind what crashes left standing, so that the collector does not do it in a later test."""
        asyncio._set_running_loop(self)
        try:
            for task in self._tasks:
                if not task.done():
                    with contextlib.suppress(RuntimeError, asyncio.InvalidStateError):
                        task.get_coro().close()
        finally:
            asyncio._set_running_loop(None)
        self._tasks.clear()
        self._ready.clear()
        self._scheduled.clear()
        self.close()

    def start(
        self, domain: Domain | None, coroutine: Coroutine[Any, Any, Any]
    ) -> asyncio.Task[Any]:
        """A task inside a process, whatever it starts being inside it too; None: outside of all."""
        context = contextvars.copy_context()
        context.run(DOMAIN.set, domain)
        return self._make_task(self, coroutine, context=context)

    def kill(self, domain: Domain) -> None:
        domain.is_dead = True
        domain.held.clear()

    def suspend(self, domain: Domain) -> None:
        domain.is_suspended = True
        domain.suspended_at.append(self._now_seconds)

    def wake(self, domain: Domain) -> None:
        domain.is_suspended = False
        self._ready.extend(domain.held)
        domain.held.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        raise AssertionError(f"unhandled in the loop: {context['message']}") from error

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # a crash leaves many
        self._tasks.append(task)
        return task

    def _turn(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        if not ready:
            while scheduled and scheduled[0]._cancelled:
                heapq.heappop(scheduled)
            if not scheduled:
                raise Deadlock("nothing can happen any more")
            self._now_seconds = max(self._now_seconds, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._now_seconds:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            domain = handle._context.get(DOMAIN)
            if domain is None or not (domain.is_dead or domain.is_suspended):
                handle._run()
            elif not domain.is_dead:
                domain.held.append(handle)

    # BaseEventLoop asks for these of a loop that has a selector; this one has none.
    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None: ...
