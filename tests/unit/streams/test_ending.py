"""A worker that must end does, whatever it lacks to say why."""

import subprocess
import sys

from streams.worker import EXIT_FAILED

WITHOUT_MEMORY = """
import logging, sys
from streams.worker import die

class WithoutMemory(logging.Handler):
    def emit(self, record):
        raise MemoryError

logging.getLogger().addHandler(WithoutMemory())
try:
    die(RuntimeError("whatever it is"))
except BaseException:
    sys.exit("it lives on")
"""


def test_a_worker_ends_though_there_is_no_memory_to_say_why() -> None:
    command = [sys.executable, "-c", WITHOUT_MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (EXIT_FAILED, "")
