"""Tables of pages that nobody writes by hand."""

from collections.abc import Iterable, Sequence
from typing import Any


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A line each."""
    lines = [headings, ["---"] * len(headings), *(map(_text, row) for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
