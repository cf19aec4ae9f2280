"""Intake of one topic-partition: what waits is bounded by bytes, and so is each batch of it."""

from schemas.batch_record import parts_of
from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.positions import SourcePosition
from streams.engine.queues import MAX_POP_BYTES, SourceQueue
from streams.engine.routes import Source
from tests.unit.engine.test_running import Tell

PLACE = TopicPartition("names", 0)


class Fetcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pause(self, source: TopicPartition) -> None:
        self.told.append("pause")

    def resume(self, source: TopicPartition) -> None:
        self.told.append("resume")

    def heard_ms(self, source: TopicPartition) -> int:
        return 0


def queue_of(fetcher: Fetcher, *, max_bytes: int) -> SourceQueue:
    source = Source("names", Tell(), lambda record: record.value)
    position = SourcePosition(PLACE, None)
    return SourceQueue(source=source, position=position, control=fetcher, max_bytes=max_bytes)


def record(offset: int, size: int) -> InboundRecord:
    return InboundRecord("names", 0, offset, 0, None, bytes(size))


def test_a_queue_over_its_bound_pauses_its_fetcher_until_it_is_half_empty() -> None:
    fetcher = Fetcher()
    queue = queue_of(fetcher, max_bytes=100)
    for offset in range(11):
        queue.push(record(offset, 10))
    assert fetcher.told == ["pause"]

    queue.pop(5)
    queue.resume_if_drained()
    assert fetcher.told == ["pause"]
    queue.pop(1)
    queue.resume_if_drained()

    assert fetcher.told == ["pause", "resume"]


def test_a_record_of_many_waits_as_the_many_that_it_holds() -> None:
    source = Source("names", Tell(), lambda record: record.value, split=parts_of)
    position = SourcePosition(PLACE, None)
    position.take(0)
    position.divide(0, 3)
    position.finish(0, 1)
    position = SourcePosition(PLACE, position.row().value)
    queue = SourceQueue(source=source, position=position, control=Fetcher(), max_bytes=1000)

    queue.push(InboundRecord("names", 0, 0, 0, None, b'["a", "b", "c"]'))
    queue.push(InboundRecord("names", 0, 1, 0, None, b"d"))
    batches = [queue.pop(2)[0] for _ in range(2)]

    assert [[(each.value, each.part) for each in batch] for batch in batches] == [
        [(b'"a"', 0), (b'"c"', 2)],
        [(b"d", -1)],
    ]


def test_a_record_of_many_may_be_handed_out_over_several_batches() -> None:
    source = Source("names", Tell(), lambda record: record.value, split=parts_of)
    fetcher, position = Fetcher(), SourcePosition(PLACE, None)
    queue = SourceQueue(source=source, position=position, control=fetcher, max_bytes=10)
    queue.push(InboundRecord("names", 0, 0, 0, None, b'["a", "b", "c"]'))
    assert fetcher.told == ["pause"]

    batches = []
    while queue:
        batches.append([each.part for each in queue.pop(2)[0]])
        queue.resume_if_drained()

    assert batches == [[0, 1], [2]]
    assert fetcher.told == ["pause", "resume"]


def test_a_batch_takes_few_large_records_and_one_at_least() -> None:
    queue = queue_of(Fetcher(), max_bytes=1)
    for offset, size in enumerate((MAX_POP_BYTES - 1, 10, 10, MAX_POP_BYTES * 3, 10)):
        queue.push(record(offset, size))

    sizes = [[len(r.value or b"") for r in queue.pop(100)[0]] for _ in range(3)]

    assert sizes == [[MAX_POP_BYTES - 1, 10], [10, MAX_POP_BYTES * 3], [10]]


def test_headers_count_as_much_as_values_do() -> None:
    fetcher = Fetcher()
    queue = queue_of(fetcher, max_bytes=2 * MAX_POP_BYTES)
    header = ("h", bytes(MAX_POP_BYTES - 1))
    for offset in range(3):
        queue.push(InboundRecord(*PLACE, offset, 0, None, None, (header,)))

    assert fetcher.told == ["pause"]
    assert [len(queue.pop(100)[0]) for _ in range(3)] == [1, 1, 1]


def test_what_was_taken_before_is_not_taken_again() -> None:
    queue = queue_of(Fetcher(), max_bytes=100)

    assert queue.push(record(5, 1))
    assert not queue.push(record(5, 1))
    assert not queue.push(record(4, 1))
    assert [taken.offset for taken in queue.pop(100)[0]] == [5]
