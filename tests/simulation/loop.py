"""`VirtualLoop`: an event loop whose time jumps to the next timer, and whose processes can stop.

Every callback belongs to the process whose context it runs in. Callbacks of a dead process are
dropped, those of a suspended one are kept until it wakes: exactly what kill -9 and SIGSTOP do.
It is small because a search plays millions of worlds, and most of a world is its loop.
"""

import asyncio
import contextlib
import contextvars
import heapq
import itertools
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

START_MS = 1_750_000_000_000
"""Virtual time begins at an ordinary instant, so that local days and zones mean something."""


class Deadlock(AssertionError):
    """Raised when nothing is ready, nothing is scheduled, and the simulation is not over."""


class Handle:
    """A callback that is to run, now or at an instant."""

    __slots__ = ("args", "callback", "context", "is_cancelled")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True
        self.args = ()  # what it held must not wait for its instant


class Domain:
    """A process as the loop sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.is_suspended = False
        self.suspended_ms: list[int] = []
        self.woken_ms: list[int] = []
        self.held: list[Handle] = []
        self.cut_off_until_seconds = 0.0
        """By the loop's time: so long it reaches nobody."""
        self.cut_off_ms: list[int] = []
        """When that began, and when it ended."""


DOMAIN: contextvars.ContextVar[Domain | None] = contextvars.ContextVar("domain", default=None)


class SeededTask(asyncio.Task[Any]):
    """A task that is hashed by its number: sets of tasks are gone through in the order of their
    hashes, and that of an address in memory differs from run to run."""

    numbers: Iterator[int]
    _number = 0

    def __hash__(self) -> int:
        if not self._number:
            self._number = next(SeededTask.numbers)
        return self._number


class VirtualLoop:
    """Deterministic: no sockets, no threads, no clock but its own; and nothing of what asyncio asks
    of a loop but for that."""

    def __init__(self) -> None:
        self._now_seconds = 0.0
        self._wall_ms = float(START_MS)
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = itertools.count()
        SeededTask.numbers = itertools.count(1)
        self._tasks: list[SeededTask] = []  # a dead process's tasks must not be collected
        self.events = 0
        """Callbacks of processes so far: each is a moment at which one can stop."""
        self.fuse = 0
        """So many callbacks of processes later, `on_fuse` is told whose turn it is; 0 for never."""
        self.on_fuse: Callable[[Domain], None] = _ignore
        self._halted: Domain | None = None
        self._postponed: float | None = None

    def time(self) -> float:
        return self._now_seconds

    def now_ms(self) -> int:
        return int(self._wall_ms + self._now_seconds * 1000)

    def elapsed_seconds(self) -> float:
        return self._now_seconds

    def set_clocks(self, by_ms: float) -> None:
        """Somebody sets the clocks on the wall; elapsed time does not notice."""
        self._wall_ms += by_ms

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` is done; nothing else is waited for."""
        _set_running(self)
        try:
            task = self.create_task(main)
            self._run_until(task)
            ended: T = task.result()
            return ended
        finally:
            _set_running(None)

    def dispose(self) -> None:
        """Unwind what crashes left standing, so that the collector does not do it in a later test."""
        _set_running(self)
        try:
            for task in self._tasks:
                if not task.done():
                    with contextlib.suppress(RuntimeError, asyncio.InvalidStateError):
                        task.get_coro().close()
        finally:
            _set_running(None)
        self._tasks.clear()
        self._ready.clear()
        self._timers.clear()

    def start(self, domain: Domain | None, coroutine: Coroutine[Any, Any, Any]) -> SeededTask:
        """A task inside a process, whatever it starts being inside it too; None: outside of all."""
        context = contextvars.copy_context()
        context.run(DOMAIN.set, domain)
        return self.create_task(coroutine, context=context)

    def kill(self, domain: Domain) -> None:
        domain.is_dead = True
        domain.held.clear()

    def suspend(self, domain: Domain) -> None:
        domain.is_suspended = True
        domain.suspended_ms.append(self.now_ms())

    def wake(self, domain: Domain) -> None:
        domain.is_suspended = False
        domain.woken_ms.append(self.now_ms())
        self._ready.extend(domain.held)
        domain.held.clear()

    def cut_off(self, domain: Domain, seconds: float) -> None:
        """It goes on, but what it asks of others is answered when this is over."""
        until_seconds = self._now_seconds + seconds
        domain.cut_off_until_seconds = max(domain.cut_off_until_seconds, until_seconds)
        domain.cut_off_ms += self.now_ms(), self.now_ms() + round(seconds * 1000)

    async def halt(self) -> None:
        """To be awaited by a task whose process was killed or suspended just now: it stops here, and
        goes on before anything else of its process does, as a thread would."""
        self._halted = DOMAIN.get()
        await _give_way()

    @types.coroutine
    def postpone(self, seconds: float) -> Generator[None, None, None]:
        """To be awaited by a task that asks somebody, and goes on when it is answered, so much later; a
        process that is cut off asks once it is so no more. If it is cancelled, it hears of it then. It
        takes one turn of the loop, where `pause` takes three."""
        self._postponed = seconds
        yield

    def _run_until(self, main: SeededTask) -> None:
        ready, timers, pop = self._ready, self._timers, heapq.heappop
        while not main.done():
            if not ready:
                if not timers:
                    raise Deadlock("nothing can happen any more")
                self._now_seconds = timers[0][0]
                while timers and timers[0][0] <= self._now_seconds:
                    handle = pop(timers)[2]
                    if not handle.is_cancelled:
                        ready.append(handle)
                continue
            handle = ready.popleft()
            if handle.is_cancelled:
                continue
            domain = handle.context.get(DOMAIN)
            if domain is not None:
                if domain.is_dead:
                    continue
                if self.fuse and not domain.is_suspended:
                    self.fuse -= 1
                    if not self.fuse:
                        self.on_fuse(domain)
                        if domain.is_dead:
                            continue
                if domain.is_suspended:
                    domain.held.append(handle)
                    continue
                self.events += 1
            handle.context.run(handle.callback, *handle.args)
            if self._halted is not None:
                self._halted.held.insert(0, ready.pop())
                self._halted = None
            elif self._postponed is not None:
                at = self._now_seconds + self._postponed
                if domain is not None:
                    at = max(at, domain.cut_off_until_seconds + self._postponed)
                heapq.heappush(timers, (at, next(self._numbers), ready.pop()))
                self._postponed = None

    # What asyncio asks of a loop.

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context)
        heapq.heappush(self._timers, (self._now_seconds + delay, next(self._numbers), handle))
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Handle:
        return self.call_later(when - self._now_seconds, callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        loop: Any = self
        return asyncio.Future(loop=loop)

    def create_task(self, coro: Any, **options: Any) -> SeededTask:
        task = SeededTask(coro, **options)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # a crash leaves many
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        raise AssertionError(f"unhandled in the loop: {context['message']}") from error


def _set_running(loop: Any) -> None:
    asyncio._set_running_loop(loop)


@types.coroutine
def _give_way() -> Generator[None, None, None]:
    """The task asks the loop for its next turn, and that is the last thing it does in this one."""
    yield


def pause(seconds: float) -> "asyncio.Future[None]":
    """`asyncio.sleep` for what is awaited at once, at half the cost."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, _release, future)
    return future


def _release(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _ignore(domain: Domain) -> None: ...
