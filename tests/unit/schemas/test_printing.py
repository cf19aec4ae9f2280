"""Text that somebody else chose, on a terminal."""

import pytest

from schemas.printing import printable


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain, with spaces", "plain, with spaces"),
        ("Übergröße \N{SNOWMAN}", "Übergröße \N{SNOWMAN}"),
        ("\x1b[2J", r"\x1b[2J"),
        ("one\r\ntwo\t", r"one\r\ntwo\t"),
        ("\x9b1A", r"\x9b1A"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_does_not_print_is_shown_as_an_escape(text: str, printed: str) -> None:
    assert printable(text) == printed
    assert printable(text).encode()


def test_lines_may_be_kept() -> None:
    assert printable("one\ntwo\r", keep="\n") == "one\ntwo\\r"
