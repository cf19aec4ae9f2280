"""Whose fault an exception is."""

import errno
import subprocess
import sys

import pytest

from policies.blame import is_of_the_machine


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM, errno.ENOSPC, errno.EIO])
def test_what_the_machine_has_run_out_of_is_its_own_fault(code: int) -> None:
    assert is_of_the_machine(OSError(code, "anything could have met it"))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EOVERFLOW, "a date that no clock can tell"),
        FileNotFoundError(errno.ENOENT, "a template that includes another"),
        ValueError("no number"),
        MemoryError("a terabyte was asked for, and there is memory"),
    ],
)
def test_what_was_asked_for_is_not(error: Exception) -> None:
    assert not is_of_the_machine(error)


WITHOUT_MEMORY = """
import resource
from policies.blame import is_of_the_machine

*_, pages, _ = open("/proc/self/statm").read().split()
taken = int(pages) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (taken + (1 << 20), taken + (1 << 20)))
kept = []
try:
    while True:
        kept.append(bytearray(1 << 16))
except MemoryError as error:
    found = is_of_the_machine(error)
kept.clear()
print(found)
"""


def test_a_machine_without_memory_is_to_blame_for_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, text=True, check=True
    )

    assert done.stdout == "True\n"
