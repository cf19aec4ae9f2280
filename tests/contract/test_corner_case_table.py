"""The table of corner cases in docs/guarantees.md names tests that there are."""

import re
from pathlib import Path

CASES = 15
ROW = re.compile(r"^\| (\d+) \|.*", re.M)
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_corner_case_names_tests_that_exist() -> None:
    rows = {int(row[1]): TEST.findall(row[0]) for row in ROW.finditer(_table())}

    assert list(rows) == list(range(1, CASES + 1))
    assert all(rows.values())
    missing = [
        f"{path}::{name}"
        for tests in rows.values()
        for path, name in tests
        if f"def {name}(" not in Path(path).read_text()
    ]
    assert missing == []


def _table() -> str:
    return (
        Path("docs/guarantees.md").read_text().partition("## Where each corner case is tested")[2]
    )
