"""R2: whatever order work ends in, a position row never skips what is not done."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.kafka import TopicPartition
from streams.engine.positions import SourcePosition

PLACE = TopicPartition("requests", 0)


def position(row: bytes | None = None) -> SourcePosition:
    return SourcePosition(PLACE, row)


def row_of(source: SourcePosition) -> bytes:
    value = source.row().value
    assert value is not None
    return value


def test_a_record_is_taken_once() -> None:
    source = position()

    assert source.take(5)
    assert not source.take(5)
    assert not source.take(4)


def test_an_offset_finished_out_of_order_is_kept_beyond_the_position() -> None:
    source = position()
    for offset in (3, 4, 7):
        source.take(offset)

    source.finish(7)
    again = position(row_of(source))

    assert [again.take(offset) for offset in (3, 4, 7)] == [True, True, False]


def test_the_position_passes_gaps_of_transaction_markers() -> None:
    source = position()
    for offset in (0, 9, 20):
        source.take(offset)

    for offset in (0, 9, 20):
        source.finish(offset)

    assert source.next_offset == 21


def test_what_was_gone_before_the_first_record_was_taken_is_not_missed_after_a_crash() -> None:
    source = position()
    for offset in (5000, 5001):
        source.take(offset)
    source.finish(5001)

    assert position(row_of(source)).next_offset == 5000


def test_a_source_of_which_all_that_was_left_is_gone_has_no_backlog() -> None:
    source = position()
    source.begin(end=9, asked_ms=2_000)
    source.take(3, appended_ms=1_000)

    source.pass_over(9)

    assert source.oldest_ms(heard_ms=0) == 1_000, "what was taken is still to be done"
    source.finish(3)
    assert source.oldest_ms(heard_ms=0) == 2_000
    assert source.next_offset == 9


def test_of_a_source_that_nobody_asks_any_more_is_known_what_was_appended_before_the_last_answer() -> (
    None
):
    source = position()
    source.begin(end=0, asked_ms=1_000)
    assert source.oldest_ms(heard_ms=0) == 1_000, "when its end was asked for"
    assert source.oldest_ms(heard_ms=2_000) == 2_000

    source.take(0, appended_ms=3_000)
    source.finish(0)

    assert source.oldest_ms(heard_ms=2_000) == 3_000, "what it was told by a record is newer"
    assert source.oldest_ms(heard_ms=4_000) == 4_000


def test_an_end_that_is_a_marker_is_known_to_be_reached_once_there_was_no_more_to_fetch() -> None:
    source = position()
    source.begin(end=2, asked_ms=1_000)
    source.take(0, appended_ms=500)
    source.finish(0)

    assert source.oldest_ms(heard_ms=0) == 0
    assert source.oldest_ms(heard_ms=1_500) == 1_500


def test_what_was_done_beyond_and_is_gone_is_forgotten_and_what_is_under_way_is_not() -> None:
    before = position()
    for offset in (0, 1, 5, 6):
        before.take(offset)
    before.finish(5)
    before.finish(6)
    source = position(row_of(before))
    for offset in (0, 1):
        source.take(offset)
    source.finish(1)

    source.pass_over(6)

    assert not source.take(5)
    assert not source.take(6), "it was done before the restart"
    again = position(row_of(source))
    assert [again.take(offset) for offset in (0, 1, 6, 7)] == [True, False, False, True]
    source.finish(0)
    assert source.next_offset == 7


def test_a_recreated_source_is_read_from_its_beginning() -> None:
    source = position()
    source.take(100)
    source.finish(100)
    again = position(row_of(source))

    again.restart()

    assert again.next_offset is None
    assert again.take(0)


def test_an_item_finished_twice_counts_once() -> None:
    source = position()
    source.take(1)
    source.finish(1)
    source.finish(1)

    assert position(row_of(source)).row() == source.row()


@given(
    offsets=st.sets(st.integers(0, 60), min_size=1).map(sorted),
    data=st.data(),
)
def test_after_a_crash_exactly_what_was_not_finished_is_taken_again(
    offsets: list[int], data: st.DataObject
) -> None:
    source = position()
    for offset in offsets:
        assert source.take(offset)
    finished = data.draw(st.lists(st.sampled_from(offsets), unique=True))
    for offset in finished:
        source.finish(offset)

    after = position(row_of(source)) if finished else position()
    from_where = after.next_offset or 0
    taken = [offset for offset in offsets if offset >= from_where and after.take(offset)]

    assert taken == [offset for offset in offsets if offset not in finished]


def test_a_record_of_many_is_done_with_its_last_part_in_whatever_order() -> None:
    source = position()
    source.take(5)
    assert list(source.divide(5, 3)) == [0, 1, 2]

    for part in (2, 0):
        source.finish(5, part)
    assert source.next_offset == 5
    source.finish(5, 1)

    assert source.next_offset == 6


def test_parts_that_are_done_are_not_handed_out_again_after_a_take_over() -> None:
    source = position()
    for offset in (5, 6):
        source.take(offset)
        source.divide(offset, 3)
    source.finish(5, 1)
    for part in range(3):
        source.finish(6, part)

    again = position(row_of(source))

    assert [again.take(offset) for offset in (5, 6)] == [True, False]
    assert list(again.divide(5, 3)) == [0, 2]
    for part in (0, 2):
        again.finish(5, part)
    assert again.next_offset == 7
    assert again.row() == position(row_of(again)).row()


def test_a_part_that_is_finished_twice_counts_once() -> None:
    source = position()
    source.take(5)
    source.divide(5, 2)

    for part in (0, 0, 1, 1):
        source.finish(5, part)

    assert source.next_offset == 6


def test_parts_of_a_record_that_will_never_come_again_are_forgotten() -> None:
    source = position()
    source.take(5)
    source.divide(5, 2)
    source.finish(5, 0)
    again = position(row_of(source))

    again.take(9)
    again.finish(9)

    assert again.next_offset == 10
    assert list(position(row_of(again)).divide(5, 2)) == [0, 1]
