"""Where to read on when the broker refuses an offset."""

import pytest

from schemas.kafka import TopicPartition
from streams.engine.gaps import SourceRecreated, read_on

PLACE = TopicPartition("requests", 3)


@pytest.mark.parametrize(
    ("bounds", "where"),
    [
        ((8, 20), 8),  # retention was faster
        ((8, 8), 8),  # and left nothing
        ((0, 20), 5),  # a broker that was behind: it holds it after all
        ((5, 5), 5),  # we are at the end
    ],
)
def test_it_is_read_on_where_the_broker_begins(bounds: tuple[int, int], where: int) -> None:
    assert read_on(PLACE, 5, bounds) == where


def test_a_topic_that_ends_before_it_is_another() -> None:
    with pytest.raises(SourceRecreated, match="requests:3 ends at 4, below 5"):
        read_on(PLACE, 5, (0, 4))
