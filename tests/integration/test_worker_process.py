"""Workers as processes of a test or a round: started, struck, and asked how they ended."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from proof.worker_process import WorkerProcess

ROUNDS, WORKERS = 15, 3


def test_how_a_worker_ended_is_told_alike_to_all_who_ask_at_once(tmp_path: Path) -> None:
    """While threads wait for some, another looks whether any has ended."""
    codes: set[int | None] = set()
    with ThreadPoolExecutor(WORKERS) as threads:
        for _ in range(ROUNDS):
            workers = [_sleeping(tmp_path) for _ in range(WORKERS)]
            waiting = [threads.submit(each.wait, 30) for each in workers]
            for each in workers:
                each.kill()
            while not all(each.done() for each in waiting):
                codes.update(each.poll() for each in workers)
            codes.update(each.result() for each in waiting)

    assert codes - {None} == {-signal.SIGKILL}


def _sleeping(folder: Path) -> WorkerProcess:
    nap = partial(time.sleep, 60)
    return WorkerProcess([], environment=dict(os.environ), log=folder / "log", prepare=nap)
