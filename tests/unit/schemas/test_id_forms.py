"""Ids in texts, many rows at once."""

import pytest

from schemas.id_forms import BLANK, IdForm
from schemas.ids import to_text

ONE = [bytes(range(start, start + 16)) for start in range(0, 240, 8)]
OTHER = [each[::-1] for each in ONE]


@pytest.mark.parametrize("count", [1, len(ONE)])
def test_a_form_is_filled_in_with_the_ids_of_each_row(count: int) -> None:
    form = IdForm(b"100 % of " + BLANK + b", %b of " + BLANK)

    assert form.filled(ONE[:count], OTHER[:count]) == [
        f"100 % of {to_text(one)}, %b of {to_text(other)}".encode()
        for one, other in zip(ONE[:count], OTHER[:count], strict=True)
    ]


@pytest.mark.parametrize("count", [1, len(ONE)])
def test_what_looks_like_an_id_already_stays_as_it_is(count: int) -> None:
    nil = to_text(bytes(16)).encode()
    form = IdForm(nil + BLANK + nil)

    assert form.filled(ONE[:count]) == [nil + to_text(each).encode() + nil for each in ONE[:count]]


def test_no_rows_are_none() -> None:
    assert IdForm(BLANK).filled([]) == []
