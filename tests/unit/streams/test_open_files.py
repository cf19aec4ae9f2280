"""How many files a worker may have open."""

import subprocess
import sys

ASK = """
import resource
from streams.open_files import allow_most

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))
allow_most(partitions=8, connections=20)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_a_worker_takes_all_that_it_may_have() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)

    assert done.stdout == "(300, 300)\n"
