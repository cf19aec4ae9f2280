"""The only place of the sandbox that reads a clock; everything else is handed one."""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the epoch."""


def system_clock() -> float:
    return time.time()
