"""Workers, each a process of its own: forked from one that has imported everything and run nothing.

What a worker imports takes two seconds of a processor, and tests and rounds start hundreds of them.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import connection, get_context
from pathlib import Path

from streams import cli
from streams.children import die_with_parent

_context = get_context("forkserver")
_context.set_forkserver_preload(
    # The faults, too: what they prepare is read in the process of a worker, before it can be stopped.
    [
        "proof.fork_server",
        "__main__",
        "streams.cli.worker",
        "streams.topic_admin",
        "proof.faults.catalogue",
    ]
)

_asking = threading.Lock()
"""How a process ended can be read once, and `multiprocessing` takes what a second reader finds for 255;
at each start it asks this of all there are."""

Prepare = Callable[[], None]


def as_it_is() -> None:
    """An ordinary worker needs no preparation."""


class WorkerProcess:
    """`postrider worker` with these arguments; has what the labs ask of a `Popen`."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        prepare: Prepare = as_it_is,
    ) -> None:
        """`prepare` is called in its process before it begins."""
        self._process = _context.Process(target=_work, args=(arguments, environment, log, prepare))
        with _asking:
            self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None  # it was started
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()

    def poll(self) -> int | None:
        with _asking:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("postrider worker", timeout or 0.0)
        return code


def _work(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path, prepare: Prepare
) -> None:
    die_with_parent()  # which ends with the tests, in whatever way they end
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    prepare()
    cli.main(["worker", *arguments])
