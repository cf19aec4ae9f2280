"""Bars on a terminal, nothing anywhere else; on stderr, so that stdout stays a script's."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def counting(doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields what is told how many more are done."""
    shown = Progress(
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    bar = shown.add_task("", total=total)
    with shown:
        yield lambda count: shown.advance(bar, count)
