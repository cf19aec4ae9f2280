"""Rows for people: a table on a terminal, tab-separated lines in a pipe."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.printing import printable


def show_table(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str]) -> None:
    """On stdout. A pipe gets each value whole, with the columns named in its first line."""
    cells = [[_text(row[column]) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in (columns, *cells):
            print("\t".join(line))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = bool(rows) and all(isinstance(row[column], int) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if is_number else "left")
    for line in cells:
        table.add_row(*line)
    Console(markup=False, highlight=False).print(table)


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
