"""Ids in texts, many rows at once."""

from schemas.id_forms import BLANK, IdForm
from schemas.ids import to_text

ONE = [bytes(range(start, start + 16)) for start in range(0, 240, 8)]
OTHER = [each[::-1] for each in ONE]


def test_a_form_is_filled_in_with_the_ids_of_each_row() -> None:
    form = IdForm(b"a " + BLANK + b", of " + BLANK)

    assert form.filled(ONE, OTHER) == [
        f"a {to_text(one)}, of {to_text(other)}".encode()
        for one, other in zip(ONE, OTHER, strict=True)
    ]


def test_what_looks_like_an_id_already_stays_as_it_is() -> None:
    nil = to_text(bytes(16)).encode()
    form = IdForm(nil + BLANK + nil)

    assert form.filled(ONE) == [nil + to_text(each).encode() + nil for each in ONE]


def test_no_rows_are_none() -> None:
    assert IdForm(BLANK).filled([]) == []
