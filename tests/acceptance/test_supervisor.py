"""The supervisor restarts what a restart can mend, and nothing else."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.supervisor import EXIT_CONFIG, RestartPolicy, SlotLock, SlotTaken, Supervisor

QUICK = RestartPolicy(first_wait_seconds=0.01, longest_wait_seconds=0.02, limit=4)


def script(tmp_path: Path, body: str) -> list[str]:
    path = tmp_path / "child.py"
    path.write_text(
        f"import pathlib, sys, time\nlives = pathlib.Path({str(tmp_path)!r}, 'lives')\n{body}"
    )
    return [sys.executable, str(path)]


def supervise(command: list[str]) -> "subprocess.Popen[bytes]":
    """A supervisor in a process of its own, its worker's output in a pipe."""
    program = f"import streams.supervisor as s; raise SystemExit(s.Supervisor({command!r}).run())"
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)


def count_life_and(then: str) -> str:
    return f"with lives.open('a') as file: file.write('x')\n{then}\n"


def lives(tmp_path: Path) -> int:
    return len((tmp_path / "lives").read_text())


def test_a_worker_that_ends_is_started_again_until_it_ends_cleanly(tmp_path: Path) -> None:
    body = count_life_and("sys.exit(0 if len(lives.read_text()) == 3 else 75)")

    assert Supervisor(script(tmp_path, body), policy=QUICK).run() == 0
    assert lives(tmp_path) == 3


def test_a_wrong_configuration_is_not_tried_again(tmp_path: Path) -> None:
    body = count_life_and(f"sys.exit({EXIT_CONFIG})")

    assert Supervisor(script(tmp_path, body), policy=QUICK).run() == EXIT_CONFIG
    assert lives(tmp_path) == 1


def test_a_worker_that_dies_at_once_again_and_again_is_given_up(tmp_path: Path) -> None:
    body = count_life_and("sys.exit(70)")

    assert Supervisor(script(tmp_path, body), policy=QUICK).run() == 70
    assert lives(tmp_path) == 4


def test_a_second_process_on_the_same_slot_is_refused(tmp_path: Path) -> None:
    with SlotLock(tmp_path), pytest.raises(SlotTaken, match="used by another"), SlotLock(tmp_path):
        raise AssertionError("both got the slot")

    with SlotLock(tmp_path):  # free again
        pass


def test_sigterm_stops_the_worker_first(tmp_path: Path) -> None:
    child = (
        "import signal\n"
        "def stop(*_):\n    lives.with_name('stopped').write_text('cleanly'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\nprint('up', flush=True)\n"
        "while True: time.sleep(0.05)\n"
    )
    command = script(tmp_path, child)
    with supervise(command) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"up\n"
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(10) == 0

    assert (tmp_path / "stopped").read_text() == "cleanly"


def test_a_supervisor_that_is_killed_leaves_no_worker_behind(tmp_path: Path) -> None:
    child = "print('up', flush=True)\nwhile True: time.sleep(0.05)\n"
    command = script(tmp_path, child)
    with supervise(command) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"up\n"
        supervisor.kill()

        assert supervisor.stdout.read() == b""  # ends only when the worker, too, has let go of it
