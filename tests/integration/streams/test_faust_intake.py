"""What is fetched for an assignment reaches the runner from its position on, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import IllegalStateError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.runner import Runner
from streams.faust_app import GroupSettings, build_app
from streams.faust_intake import FaustIntake
from streams.names import Names

A, B = TopicPartition("requests", 0), TopicPartition("requests", 1)


class Thread:
    """In place of the consumer's: fetches are answered by the test, one at a time."""

    def __init__(self) -> None:
        self.sought: list[Mapping[KafkaPartition, int]] = []
        self.refused_seeks = 0
        self.is_fetching = asyncio.Event()
        self.wanted: Collection[KafkaPartition] = ()
        self._answer: asyncio.Future[tuple[Mapping[KafkaPartition, Any], ...]] | None = None

    async def call_thread(self, function: Any, argument: Any) -> Any:
        if function.__name__ == "_go_to":
            if self.refused_seeks:
                self.refused_seeks -= 1
                raise IllegalStateError("no current assignment")
            self.sought.append(argument)
            return None
        self.wanted = argument
        self._answer = asyncio.get_running_loop().create_future()
        self.is_fetching.set()
        return await self._answer

    async def fetch(self) -> Collection[KafkaPartition]:
        """Until one has begun; where it is from."""
        await asyncio.wait_for(self.is_fetching.wait(), 10)
        return self.wanted

    async def refuse(self, place: TopicPartition, offset: int) -> None:
        await self.fetch()
        self.is_fetching.clear()
        assert self._answer is not None
        asked = {KafkaPartition(f"p.{place.topic}", place.partition): offset}
        self._answer.set_exception(OffsetOutOfRangeError(asked))

    async def answer(
        self,
        fetched: Mapping[TopicPartition, Collection[int]],
        heard_ms: Mapping[TopicPartition, int] | None = None,
    ) -> None:
        await self.fetch()
        self.is_fetching.clear()
        assert self._answer is not None
        records = {
            KafkaPartition(f"p.{place.topic}", place.partition): [
                SimpleNamespace(
                    topic=f"p.{place.topic}", partition=place.partition, offset=offset,
                    timestamp=1, key=None, value=b"v", headers=(("h", None),),
                )
                for offset in offsets
            ]
            for place, offsets in fetched.items()
        }  # fmt: skip
        heard = {
            KafkaPartition(f"p.{place.topic}", place.partition): at_ms
            for place, at_ms in (heard_ms or {}).items()
        }
        self._answer.set_result((records, heard))


class GivenRunner:
    """Takes what is pushed, and is asked where to read on."""

    def __init__(self) -> None:
        self.pushed: list[InboundRecord] = []
        self.refused: list[tuple[TopicPartition, int]] = []
        self.while_asked: Callable[[], None] = lambda: None

    def push(self, record: InboundRecord) -> None:
        self.pushed.append(record)

    async def out_of_range(self, place: TopicPartition, offset: int) -> int:
        self.refused.append((place, offset))
        self.while_asked()
        return offset + 100


class Bench:
    """A consumer of a role's app, reading."""

    def __init__(self, folder: Path) -> None:
        self.thread = Thread()
        self.intake = FaustIntake(Names("p."))
        self.runner = GivenRunner()
        self.pushed = self.runner.pushed
        self.deaths: list[BaseException] = []
        app: Any = build_app(
            settings=GroupSettings(role="decide", slot=0, data_dir=folder),
            names=Names("p."),
            connection={"bootstrap_servers": "127.0.0.1:1"},
            topics=["requests"],
            runner=cast(Runner, self.runner),
            intake=self.intake,
            die=self.deaths.append,
        )
        self.consumer: Any = app.consumer
        self.consumer._thread = self.thread

    def offsets(self, place: TopicPartition = A) -> list[int]:
        return [each.offset for each in self.pushed if each.partition == place.partition]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        fetcher = SimpleNamespace(_stopped=asyncio.Event())
        loop = asyncio.create_task(self.consumer._drain_messages(fetcher))
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.wait([loop])


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def places(*some: TopicPartition) -> set[KafkaPartition]:
    return {KafkaPartition(f"p.{place.topic}", place.partition) for place in some}


async def test_each_source_is_read_from_its_position(bench: Bench) -> None:
    bench.intake.begin({A: 7, B: 0})
    async with bench.reading():
        assert await bench.thread.fetch() == places(A, B)
        await bench.thread.answer({A: [7, 9], B: [0]})
        await bench.thread.fetch()

    first, second = KafkaPartition("p.requests", 0), KafkaPartition("p.requests", 1)
    assert bench.thread.sought == [{first: 7, second: 0}]
    assert bench.offsets() == [7, 9]
    assert bench.offsets(B) == [0]
    assert bench.pushed[0].topic == "requests"
    assert bench.pushed[0].headers == (("h", b""),)


async def test_what_was_on_its_way_when_the_assignment_changed_is_read_again(bench: Bench) -> None:
    bench.intake.begin({A: 0})
    async with bench.reading():
        await bench.thread.fetch()
        bench.intake.end()
        bench.intake.begin({A: 0})
        await bench.thread.answer({A: range(100)})

        await bench.thread.answer({A: [0, 1]})
        await bench.thread.fetch()

    assert len(bench.thread.sought) == 2, "nothing was fetched before the second seek"
    assert bench.offsets() == [0, 1]


async def test_between_two_assignments_nothing_is_fetched(bench: Bench) -> None:
    bench.intake.begin({A: 0})
    async with bench.reading():
        await bench.thread.fetch()
        bench.intake.end()
        await bench.thread.answer({A: [0]})
        fetching = asyncio.create_task(bench.thread.is_fetching.wait())
        await asyncio.wait([fetching], timeout=0.05)
        assert not fetching.done()

        bench.intake.begin({B: 5})
        assert await bench.thread.fetch() == places(B)
        await fetching

    assert bench.pushed == []


async def test_an_assignment_that_is_gone_already_is_not_read(bench: Bench) -> None:
    bench.thread.refused_seeks = 3
    bench.intake.begin({A: 4})
    async with bench.reading():
        await bench.thread.answer({A: [4]})
        await bench.thread.fetch()

    assert len(bench.thread.sought) == 1
    assert bench.offsets() == [4]


async def test_a_paused_source_is_left_out_but_what_was_fetched_of_it_comes(bench: Bench) -> None:
    bench.intake.begin({A: 0, B: 0})
    async with bench.reading():
        await bench.thread.fetch()
        bench.intake.pause(A)
        await bench.thread.answer({A: [0, 1], B: [0]})
        assert await bench.thread.fetch() == places(B)

        bench.intake.resume(A)
        await bench.thread.answer({})
        assert await bench.thread.fetch() == places(A, B)

    assert bench.offsets() == [0, 1], "the fetcher has passed them: they would never come again"


async def test_a_source_that_is_refused_is_read_on_where_the_runner_says(bench: Bench) -> None:
    bench.intake.begin({A: 7, B: 0})
    async with bench.reading():
        await bench.thread.refuse(A, 7)
        await bench.thread.answer({A: [107], B: [0]})
        await bench.thread.fetch()

    assert bench.runner.refused == [(A, 7)]
    assert bench.thread.sought[1:] == [{KafkaPartition("p.requests", 0): 107}]
    assert bench.offsets() == [107]
    assert bench.offsets(B) == [0], "nor is the other one disturbed"


async def test_a_refusal_of_an_assignment_that_is_gone_moves_nothing(bench: Bench) -> None:
    bench.runner.while_asked = lambda: bench.intake.begin({A: 9})
    bench.intake.begin({A: 7})
    async with bench.reading():
        await bench.thread.refuse(A, 7)
        await bench.thread.fetch()

    first = KafkaPartition("p.requests", 0)
    assert bench.thread.sought == [{first: 7}, {first: 9}]


async def test_what_has_no_more_is_heard_of_until_the_assignment_ends(bench: Bench) -> None:
    bench.intake.begin({A: 7, B: 0})
    assert bench.intake.heard_ms(A) == 0
    async with bench.reading():
        await bench.thread.answer({}, heard_ms={A: 1_000})
        await bench.thread.answer({A: [7]}, heard_ms={B: 2_000})
        await bench.thread.fetch()
        assert [bench.intake.heard_ms(place) for place in (A, B)] == [1_000, 2_000]

        bench.intake.end()
        assert bench.intake.heard_ms(A) == 0
        await bench.thread.answer({}, heard_ms={A: 3_000})
        bench.intake.begin({A: 8})
        await bench.thread.fetch()

    assert bench.intake.heard_ms(A) == 0, "what was on its way is about where it was read before"


async def test_what_is_heard_while_records_are_on_their_way_counts_only_after_they_are_pushed(
    bench: Bench,
) -> None:
    client = SimpleNamespace(heard_ms={A: 1_000})

    async def fetched_records(*_: Any, **__: Any) -> dict[TopicPartition, list[int]]:
        client.heard_ms[A] = 2_000
        return {A: [7]}

    fetcher = SimpleNamespace(_client=client, fetched_records=fetched_records)
    consumer = SimpleNamespace(
        _closed=False,
        _fetcher=fetcher,
        _max_poll_records=500,
        _subscription=SimpleNamespace(fetch_context=nullcontext),
    )
    bench.consumer._thread = SimpleNamespace(_ensure_consumer=lambda: consumer)

    assert await bench.consumer._fetch_from({A}) == ({A: [7]}, {A: 1_000})


async def test_a_reader_that_is_cancelled_ends_the_process(bench: Bench) -> None:
    bench.intake.begin({A: 3})
    async with bench.reading():
        await bench.thread.fetch()

    assert len(bench.deaths) == 1, "its fetch goes on in the thread, and might take what is next"


async def test_a_fetch_that_fails_ends_the_process(bench: Bench) -> None:
    async def fail(function: Any, argument: Any) -> None:
        raise ValueError("whatever it does not expect")

    bench.thread.call_thread = fail  # type: ignore[method-assign]
    bench.intake.begin({A: 0})
    with pytest.raises(ValueError, match="whatever"):
        await bench.consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event()))

    assert [str(death) for death in bench.deaths] == ["whatever it does not expect"]
