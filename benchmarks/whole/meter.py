"""CPU seconds and memory of processes, as the kernel counts them."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Fields of /proc/PID/stat behind the command's closing parenthesis."""


def cpu_seconds(pid: int) -> float:
    """User and system, of all threads, since the process began; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_A_SECOND


def peak_resident_mb(pid: int) -> float:
    """The most that was resident since the process began, in 10^6 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stretch of time cost."""

    seconds: float
    cpu: Mapping[str, float]
    """CPU seconds by who spent them: `worker`, `broker`, `harness`."""

    def busy(self, who: str) -> float:
        """Share of one core."""
        return self.cpu[who] / self.seconds if self.seconds else 0.0


class Meter:
    """Counts from its making. Groups of processes are named; whoever starts later joins by `add`."""

    def __init__(self, groups: Mapping[str, list[int]]) -> None:
        self._groups = groups
        self.began = time.monotonic()
        self._before = {pid: cpu_seconds(pid) for pids in groups.values() for pid in pids}

    def spent(self) -> Spent:
        return Spent(
            time.monotonic() - self.began,
            {
                who: sum(cpu_seconds(pid) - self._before.get(pid, 0.0) for pid in pids)
                for who, pids in self._groups.items()
            },
        )
