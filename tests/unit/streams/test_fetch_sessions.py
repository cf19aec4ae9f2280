"""Fetches are told as changes, and in full whenever the broker may remember something else."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from policies.clock import ManualClock
from streams.fetch_sessions import SessionClient

NEW, OLD = {1: (4, 11)}, {1: (0, 6)}
LOST = 70


class Broker:
    """In place of aiokafka's client: remembers what it was asked."""

    cluster = "its own"

    def __init__(self) -> None:
        self.versions = NEW
        self.asked: list[Any] = []
        self.answers: list[int] = []
        """Error codes of the next answers."""
        self.session_id = 7
        self.tells: list[tuple[str, int, int, int]] = []
        """Topic, partition, error and end, in the next answer."""
        self.throttle_ms = 0
        self.while_asked: Callable[[], None] = lambda: None

    async def send(self, node: int, request: Any, **options: Any) -> Any:
        struct = request.prepare(self.versions)
        self.asked.append(struct)
        self.while_asked()
        tells, self.tells = self.tells, []
        code = self.answers.pop(0) if self.answers else 0
        if code < 0:
            raise KafkaConnectionError
        return SimpleNamespace(
            API_VERSION=struct.API_VERSION,
            throttle_time_ms=self.throttle_ms,
            error_code=code,
            session_id=self.session_id,
            topics=[(topic, [(at, error, end, b"")]) for topic, at, error, end in tells],
        )


class Bench:
    def __init__(self) -> None:
        self.broker = Broker()
        self.clock = ManualClock(now_ms=1_000)
        self.client = SessionClient(self.broker, self.clock)

    async def fetch(self, *places: tuple[str, int, int], node: int = 1) -> None:
        """Topic, partition and offset of each."""
        topics: dict[str, list[tuple[int, int, int]]] = {}
        for topic, partition, offset in places:
            topics.setdefault(topic, []).append((partition, offset, 1000))
        await self.client.send(node, FetchRequest(200, 1, 5000, 1, list(topics.items())))

    def heard(self) -> dict[tuple[str, int], int]:
        """When each place was asked about, of those that had no more."""
        return {tuple(place): at_ms for place, at_ms in self.client.heard_ms.items()}

    def said(self, turn: int = -1) -> tuple[int, int, list[tuple[str, int, int]], Any]:
        """Session, epoch, what was named, what was forgotten."""
        asked = self.broker.asked[turn]
        named = [
            (topic, each[0], each[2]) for topic, partitions in asked.topics for each in partitions
        ]
        return asked.session_id, asked.session_epoch, named, asked.forgotten_topics_data


A, B, C = ("a", 0, 5), ("a", 1, 5), ("b", 0, 5)


async def test_the_first_fetch_names_all_and_the_next_ones_what_has_moved() -> None:
    bench = Bench()
    await bench.fetch(A, B, C)
    assert bench.said() == (0, 0, [A, B, C], [])

    await bench.fetch(A, ("a", 1, 6), C)
    assert bench.said() == (7, 1, [("a", 1, 6)], [])

    await bench.fetch(A, ("a", 1, 6), C)
    assert bench.said() == (7, 2, [], [])


async def test_a_partition_that_is_not_fetched_for_a_while_is_forgotten_and_named_again() -> None:
    bench = Bench()
    await bench.fetch(A, B)
    await bench.fetch(A)
    assert bench.said() == (7, 1, [], [("a", [1])])

    await bench.fetch(A, B)
    assert bench.said() == (7, 2, [B], [])


async def test_a_broker_that_has_lost_the_session_is_asked_again_in_full() -> None:
    bench = Bench()
    await bench.fetch(A, B)
    bench.broker.answers = [LOST]

    await bench.fetch(A, B)

    assert bench.said(-2) == (7, 1, [], [])
    assert bench.said() == (0, 0, [A, B], [])


@pytest.mark.parametrize("code", [-1, 3], ids=["nobody answers", "another error"])
async def test_after_what_went_wrong_all_is_named_again(code: int) -> None:
    bench = Bench()
    await bench.fetch(A, B)
    bench.broker.answers = [code]
    await asyncio.gather(bench.fetch(A, B), return_exceptions=True)

    await bench.fetch(A, B)

    assert bench.said() == (0, 0, [A, B], [])


async def test_a_broker_that_gives_no_session_is_always_asked_in_full() -> None:
    bench = Bench()
    bench.broker.session_id = 0
    await bench.fetch(A)
    await bench.fetch(A)

    assert bench.said() == (0, 0, [A], [])


async def test_a_broker_that_knows_no_sessions_is_always_asked_in_full() -> None:
    bench = Bench()
    bench.broker.versions = OLD
    await bench.fetch(A)
    await bench.fetch(A)

    assert [topic for topic, _ in bench.broker.asked[-1].topics] == ["a"]


async def test_every_broker_has_a_session_of_its_own() -> None:
    bench = Bench()
    await bench.fetch(A, node=1)
    await bench.fetch(B, node=2)

    assert bench.said() == (0, 0, [B], [])


async def test_a_place_without_more_is_known_to_have_had_none_when_it_was_asked_for() -> None:
    bench = Bench()
    bench.broker.tells = [("a", 0, 0, 5), ("b", 0, 0, 6)]
    bench.broker.while_asked = lambda: bench.clock.advance(ms=200)

    await bench.fetch(A, C)
    assert bench.heard() == {("a", 0): 1_000}

    await bench.fetch(A, ("b", 0, 6))
    assert bench.heard() == {("a", 0): 1_200, ("b", 0): 1_200}, (
        "an answer leaves out what is as it was"
    )


async def test_a_place_that_an_answer_had_no_room_for_is_not_taken_for_one_without_more() -> None:
    bench = Bench()
    bench.broker.tells = [("a", 0, 0, 7)]
    await bench.fetch(A)
    await bench.fetch(A)

    assert bench.heard() == {}, "nor what an open transaction hides"


@pytest.mark.parametrize("session_id", [7, 0], ids=["in a session", "without one"])
async def test_of_a_place_with_an_error_nothing_is_known(session_id: int) -> None:
    bench = Bench()
    bench.broker.session_id = session_id
    bench.broker.tells = [("a", 0, 0, 5)]
    await bench.fetch(A)
    bench.clock.advance(ms=200)
    bench.broker.tells = [("a", 0, 6, 0)]
    await bench.fetch(A)
    bench.clock.advance(ms=200)
    await bench.fetch(A)
    assert bench.heard() == {("a", 0): 1_000}

    bench.broker.tells = [("a", 0, 0, 5)]
    await bench.fetch(A)

    assert bench.heard() == {("a", 0): 1_400}


async def test_an_answer_that_is_empty_because_we_ask_too_much_tells_nothing() -> None:
    bench = Bench()
    bench.broker.tells = [("a", 0, 0, 5)]
    await bench.fetch(A)
    bench.clock.advance(ms=200)
    bench.broker.throttle_ms = 50
    await bench.fetch(A)

    assert bench.heard() == {("a", 0): 1_000}


@pytest.mark.parametrize("code", [-1, 3], ids=["nobody answers", "another error"])
async def test_of_an_answer_that_went_wrong_nothing_is_known(code: int) -> None:
    bench = Bench()
    bench.broker.tells = [("a", 0, 0, 5)]
    await bench.fetch(A)
    bench.clock.advance(ms=200)
    bench.broker.answers = [code]
    await asyncio.gather(bench.fetch(A), return_exceptions=True)
    await bench.fetch(A)

    assert bench.heard() == {("a", 0): 1_000}


async def test_an_answer_about_where_a_place_was_read_before_a_seek_tells_nothing() -> None:
    bench = Bench()
    bench.broker.tells = [("a", 0, 0, 5)]
    bench.broker.while_asked = bench.client.seek
    await bench.fetch(A)

    assert bench.heard() == {}


async def test_whatever_is_no_fetch_is_the_clients_own_business() -> None:
    bench = Bench()
    bench.broker.versions = {3: (0, 1)}
    request = MetadataRequest([])

    answer = await bench.client.send(
        1, SimpleNamespace(prepare=lambda versions: answer_of(request))
    )

    assert answer.session_id == 7
    assert bench.client.cluster == "its own"


def answer_of(request: Any) -> Any:
    return SimpleNamespace(API_VERSION=0, request=request)
