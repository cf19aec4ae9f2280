"""Where the time of a running worker goes: py-spy beside it, and the top of what it saw."""

import contextlib
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from streams.children import spawn

_A_SECOND = 200
_TOP = 20
_HEAVIEST = 5
_OWN = "own"
_OUTER = 0.95
"""A frame in nearly every sample is a part of the way to the work, and tells nothing."""
_LINE = re.compile(r":\d+\)$")


@contextlib.contextmanager
def profiling(targets: Mapping[Path, int]) -> Iterator[None]:
    """Sample each process, and write the top of it to the file that it is given with.

    A sample stops the process for a moment, so what is measured meanwhile is not to be trusted.
    """
    with tempfile.TemporaryDirectory() as folder:
        running = []
        for place, (report, pid) in enumerate(targets.items()):
            raw = Path(folder) / f"{place}.txt"
            running.append((report, raw, _start(pid, raw)))
        try:
            yield
        finally:
            for report, raw, process in running:
                process.send_signal(signal.SIGINT)
                process.wait(60)
                report.parent.mkdir(parents=True, exist_ok=True)
                report.write_text(top(raw.read_text() if raw.exists() else ""))


def _start(pid: int, raw: Path) -> "subprocess.Popen[bytes]":
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid)]
    command += ["--rate", str(_A_SECOND), "--format", "raw", "--output", str(raw)]
    command += ["--duration", "unlimited", "--gil"]
    return spawn(command, output=subprocess.DEVNULL)


def top(folded: str) -> str:
    """Of stacks as py-spy folds them, `outer;inner COUNT` a line: where most of the samples are."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_LINE.sub(")", each) for each in stack.split(";")]
        own[frames[-1]] += int(count)
        within.update(dict.fromkeys(frames, int(count)))
    samples = own.total()
    if not samples:
        return "no samples\n"
    inner = Counter({name: n for name, n in within.items() if n < _OUTER * samples})
    parts = [f"{samples} samples with the interpreter's lock, {_A_SECOND} a second\n"]
    for title, counts in ((_OWN, own), ("with what it calls", inner)):
        parts.append(f"\n{title}\n")
        parts += [f"{n / samples:6.1%}  {name}\n" for name, n in counts.most_common(_TOP)]
    return "".join(parts)


def heaviest(report: str) -> list[str]:
    """The first few of what `top` wrote: `11%  name (file)`, by their own time."""
    own = report.partition(f"\n{_OWN}\n")[2].partition("\n\n")[0]
    shares = (line.split(maxsplit=1) for line in own.splitlines()[:_HEAVIEST])
    return [f"{share} {name}" for share, name in shares]
