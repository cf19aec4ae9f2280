"""Where to read on when the broker refuses an offset."""

import pytest

from schemas.kafka import TopicPartition
from streams.engine.gaps import SourceRecreated, read_on
from tests.unit.engine.bench import SOURCE, Bench

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


async def read_something(bench: Bench) -> None:
    """By a life before, which ends in order."""
    bench.request(b"one", b"two")
    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 2)
    await bench.runner.give_up()


async def test_a_broker_that_leads_a_source_no_more_does_not_make_it_another(bench: Bench) -> None:
    await read_something(bench)
    bench.lies_left = 3

    await bench.take_over()
    assert not bench.notes.recreated

    bench.lies_left = 3
    end = bench.broker.log(SOURCE).end
    assert await bench.runner.out_of_range(SOURCE, end) == end


async def test_a_source_that_ends_before_it_is_another_once_that_was_told_for_long(
    bench: Bench,
) -> None:
    await read_something(bench)
    bench.lies_left = 1 << 30

    await bench.take_over()
    assert bench.notes.recreated == [SOURCE]

    with pytest.raises(SourceRecreated):
        await bench.runner.out_of_range(SOURCE, 1)
