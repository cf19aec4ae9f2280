"""Bad lines of an import: told to a person, and kept for whoever mends them."""

import json
import sys
from typing import Any, TextIO

from streams.importing.formats import column_of
from streams.importing.lines import BadLine, Row

_MOST_TOLD = 100
"""A person reads no more; a file keeps all."""


class Rejects:
    """Tells bad lines on stderr, and writes all of them as JSON Lines where asked to."""

    def __init__(self, kept: TextIO | None, *, is_tabular: bool) -> None:
        """`is_tabular`: fields are told by their columns."""
        self._kept = kept
        self._is_tabular = is_tabular
        self._count = 0

    def __call__(self, problems: list[BadLine], row: Row | None) -> None:
        if self._is_tabular:
            problems = [bad._replace(field=column_of(bad.field)) for bad in problems]
        self._count += 1
        if self._count <= _MOST_TOLD:
            for bad in problems:
                print(bad, file=sys.stderr)
        if self._kept is not None:
            print(_as_json(problems, row), file=self._kept)

    @property
    def untold(self) -> int:
        return max(0, self._count - _MOST_TOLD)


def _as_json(problems: list[BadLine], row: Row | None) -> str:
    content: Any = row.content if row is not None else None
    if isinstance(content, bytes):
        content = content.decode(errors="replace").rstrip("\r\n")
    fields = [{"field": bad.field, "problem": bad.problem} for bad in problems]
    said = {"line": problems[0].line, "problems": fields, "content": content}
    return json.dumps(said, default=str)
