"""Outcomes of many recipients."""

from collections.abc import Sequence

import pytest

from schemas.outcome import Accepted, NotProcessed, Outcome, alike

SENT = Accepted(provider_message_id="m")
LATER = NotProcessed()


@pytest.mark.parametrize(
    ("outcomes", "counted"),
    [
        ([], []),
        ([SENT], [(SENT, 1)]),
        ([SENT] * 3, [(SENT, 3)]),
        ([SENT, LATER, SENT], [(SENT, 2), (LATER, 1)]),
    ],
)
def test_what_is_alike_is_counted_together(
    outcomes: Sequence[Outcome], counted: list[tuple[Outcome, int]]
) -> None:
    assert alike(outcomes) == counted
