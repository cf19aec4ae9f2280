"""Keeps one worker of a slot alive: starts it again when it ends, with back-off and a limit.

A worker ends itself whenever its memory may be wrong, so starting again is part of how it
works (0.9 s with static membership). What a restart cannot mend, a wrong configuration or a
worker that dies at once again and again, ends the supervisor too, so that an operator sees it.
"""

import fcntl
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from streams.children import spawn

log = logging.getLogger("postrider.supervisor")

EXIT_CONFIG = 78
"""The worker's word for "starting again does not help"."""


class SlotTaken(RuntimeError):
    """Raised when another process on this machine holds the slot."""


class SlotUnwritable(RuntimeError):
    """Raised where the folder of a slot cannot be written; its text is for people."""


def unwritable(folder: Path, error: OSError) -> str:
    """A line that says so, and what to do."""
    why = os.strerror(error.errno or 0).lower()
    return (
        f"data: {folder} cannot be written ({why}): mend its disk, or name another with --data-dir"
    )


class SlotLock:
    """One process a slot: two would fence each other for ever."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"

    def __enter__(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w")
        except OSError as error:
            raise SlotUnwritable(unwritable(self._path.parent, error)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise SlotTaken(f"{self._path.parent} is used by another worker process") from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """`limit` lives shorter than `short_life_seconds`, one after the other, are too many."""

    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 30.0
    short_life_seconds: float = 20.0
    limit: int = 20


class Supervisor:
    """Runs `command` until it ends cleanly, is told to stop, or cannot be helped."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        policy: RestartPolicy | None = None,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._policy = policy or RestartPolicy()
        self._monotonic_seconds = monotonic_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Returns the exit code that the last worker ended with."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        short_lives = 0
        while True:
            began = self._monotonic_seconds()
            code = self._live()
            if self._stopping or code in (0, EXIT_CONFIG):
                return code
            is_short = self._monotonic_seconds() - began < self._policy.short_life_seconds
            short_lives = short_lives + 1 if is_short else 0
            if short_lives >= self._policy.limit:
                log.critical("worker dies again and again", extra={"code": code})
                return code
            wait = self._wait_seconds(short_lives)
            log.warning("worker ended, starting it again", extra={"code": code, "wait": wait})
            self._sleep(wait)
            if self._stopping:
                return 0

    def _live(self) -> int:
        # SIGTERM, not SIGKILL, when we are killed: the worker drains and leaves nothing in doubt.
        self._child = spawn(self._command, parting_signal=signal.SIGTERM)
        if self._stopping:  # the signal came while it was being started
            self._child.terminate()
        return self._child.wait()

    def _wait_seconds(self, short_lives: int) -> float:
        doubled = self._policy.first_wait_seconds * 2.0 ** max(short_lives - 1, 0)
        return min(doubled, self._policy.longest_wait_seconds)

    def _sleep(self, seconds: float) -> None:
        """Until the time is over or a signal came."""
        until = self._monotonic_seconds() + seconds
        while not self._stopping and (left := until - self._monotonic_seconds()) > 0:
            time.sleep(min(left, 0.1))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
