"""The ACLs of a role as `docs/operations.md` tells them."""

import re
from collections.abc import Iterator
from pathlib import Path

from streams.access import Access

_INNERMOST = re.compile(r"\{([^{}]*)\}")


def documented_access(role: str) -> Access:
    """Of the row that names the role; logical names of topics."""
    for line in Path("docs/operations.md").read_text().splitlines():
        cells = [re.findall("`([^`]+)`", cell) for cell in line.strip("|").split("|")]
        if len(cells) == 3 and role in cells[0]:
            reads, writes = (
                {topic for each in cell for topic in _expanded(each.replace("ROLE", role))}
                for cell in cells[1:]
            )
            return Access(frozenset(reads), frozenset(writes))
    raise LookupError(f"no ACLs of {role} are documented")


def _expanded(text: str) -> Iterator[str]:
    """Braces as a shell expands them."""
    found = _INNERMOST.search(text)
    if found is None:
        yield text
        return
    for choice in found[1].split(","):
        yield from _expanded(text[: found.start()] + choice + text[found.end() :])
