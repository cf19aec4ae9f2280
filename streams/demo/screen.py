"""What the demo shows: a live table on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from schemas.delivery import CHANNELS
from streams.demo.tally import COLUMNS, Tally

_LINE_SECONDS = 5.0


class Screen:
    """Shows a tally; `headline` and `waiting` (records not yet handled) are told by the caller."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._console = console
        self._tally = tally
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._headline = ""
        self._seen: list[tuple[float, int]] = []
        self._line_at = 0.0

    def __enter__(self) -> "Screen":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """What is going on now."""
        self._headline = text
        if self._live is None:
            self._console.print(text)

    def show(self, waiting: int) -> None:
        rate = self._rate()
        if self._live is not None:
            self._live.update(Group(Text(self._headline, style="bold"), self._table(rate, waiting)))
        elif time.monotonic() - self._line_at > _LINE_SECONDS:
            self._line_at = time.monotonic()
            totals = "  ".join(f"{name} {self._tally.total(name)}" for name in COLUMNS)
            self._console.print(f"{totals}  {rate:.0f} receipts/s  lag {waiting}")

    def final(self, print_line: Callable[[str], None]) -> None:
        """The whole outcome once more, to stay on the screen."""
        self._console.print(self._table(None, 0))
        reasons = self._tally.suppressed_by.most_common()
        if reasons:
            print_line("suppressed: " + ", ".join(f"{name} {count}" for name, count in reasons))
        if self._tally.requests:
            told = self._tally.requests.most_common()
            print_line("requests: " + ", ".join(f"{name} {count}" for name, count in told))

    def _table(self, rate: float | None, waiting: int) -> Table:
        caption = None if rate is None else f"{rate:,.0f} receipts/s · {waiting:,} records waiting"
        table = Table(caption=caption)
        table.add_column("channel")
        for name in COLUMNS:
            table.add_column(name, justify="right")
        for channel in CHANNELS:
            table.add_row(channel, *(f"{count:,}" for count in self._tally.row(channel)))
        table.add_section()
        table.add_row("all", *(f"{self._tally.total(name):,}" for name in COLUMNS), style="bold")
        return table

    def _rate(self) -> float:
        """Receipts a second over the last few seconds."""
        now = time.monotonic()
        self._seen = [seen for seen in self._seen if seen[0] > now - 3.0]
        self._seen.append((now, self._tally.receipts))
        first_at, first = self._seen[0]
        return (self._tally.receipts - first) / (now - first_at) if now > first_at else 0.0
