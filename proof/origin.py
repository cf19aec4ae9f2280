"""Where a result comes from: which commit, when, on what machine."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def commit() -> str:
    """Of the checkout that runs, with a + where it was changed since."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip() or "unknown"


def is_exact(commit: str) -> bool:
    """Whether all that is of this commit is of the same code."""
    return commit != "unknown" and not commit.endswith("+")


def machine() -> str:
    return (
        f"{os.cpu_count()} shared cores ({platform.machine()}, Linux "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()})"
    )
