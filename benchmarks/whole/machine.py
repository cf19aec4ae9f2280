"""Where and of what a result was measured."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from streams.embedded_kafka import KAFKA_VERSION

_WRITTEN = (
    "benchmarks/results", "benchmarks/plots", "benchmarks/README.md", "streams/capacity",
    "benchmarks/peers/results", "benchmarks/peers/README.md",
)  # fmt: skip
"""What results change in the checkout without changing what is measured."""
_CHANGED = "-changed"
_LOOP = 2_000_000


def machine() -> dict[str, str | int]:
    """What a reader needs to compare with a machine of theirs."""
    cpu_info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpu_info if line.startswith("model name")]
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(pages * page_bytes / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
    }


def loop_ms() -> float:
    """CPU time of a fixed piece of Python, right now: a shared machine's hours differ by half."""
    began = time.process_time()
    total = 0
    for number in range(_LOOP):
        total += number
    return (time.process_time() - began) * 1000


def commit() -> str:
    """Of the checkout; `-changed` follows when what is measured was not committed."""
    head = _git("rev-parse", "--short=12", "HEAD")
    ours = [f":(exclude){path}" for path in _WRITTEN]
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *ours)
    return f"{head}{_CHANGED}" if changed else head


def is_changed(commit: str) -> bool:
    """Whether it does not tell what was measured."""
    return commit.endswith(_CHANGED)


def command(module: str, arguments: Sequence[str]) -> str:
    """How to measure again; where somebody's machine keeps its data is nobody else's concern."""
    told = [f"python -m {module}"]
    is_path = False
    for each in arguments:
        if not is_path and each != "--data" and not each.startswith("--data="):
            told.append(each)
        is_path = each == "--data"
    return " ".join(told)


def _git(*arguments: str) -> str:
    command: Sequence[str] = ("git", *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
