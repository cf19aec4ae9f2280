"""Corner cases of the real topology: records that are gone, begin anew or are put back."""

import asyncio

import pytest

from schemas import ids, topics
from schemas.dead_letter import DeadLetter, decode_dead_letter
from schemas.kafka import TopicPartition
from schemas.receipt import Receipt
from streams.letters.replaying import PutBack, Replay
from streams.topology import DECIDE
from tests.simulation.real import PARTITIONS, RealWorld
from tests.simulation.stage import REQUESTED, Stage


def test_what_retention_takes_from_a_sleeping_worker_is_told_and_the_rest_is_decided() -> None:
    stage = Stage()
    world = stage.world
    place = TopicPartition(REQUESTED, ids.partition_of("u2", PARTITIONS))

    async def story() -> None:
        await stage.ask("u2", "invoice", "email")
        await world.rest()
        sleeper = stage.owner(DECIDE, place.partition)
        world.loop.suspend(sleeper.domain)
        for _ in range(3):
            await stage.ask("u2", "invoice", "email")
        world.broker.remove(place, 3)
        world.withdrawn = {0, 1, 2}
        world.loop.wake(sleeper.domain)

    found = stage.play(story)

    assert world.notes.lost == [(place, 1, 3)]
    assert len(found.acceptances) == 2


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_topic_that_was_made_anew_is_read_from_its_beginning(is_restarted: bool) -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        for _ in range(3):
            await stage.ask("u2", "invoice", "email")
        await world.rest()
        place = TopicPartition(REQUESTED, ids.partition_of("u2", PARTITIONS))
        world.broker.recreate(place)
        world.withdrawn = {0, 1, 2}
        await stage.ask("u2", "digest")
        if is_restarted:
            stage.restart(DECIDE)
        await asyncio.sleep(world.settings.disbelief_seconds + 1.0)

    found = stage.play(story)

    assert REQUESTED in {place.topic for place in world.notes.recreated}
    assert [each.message.user_id for each in found.acceptances] == ["u2"] * 4
    assert len({each.message.notification_id for each in found.acceptances}) == 4


def test_a_dead_letter_put_back_twice_is_sent_once_as_the_next_round() -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        world.carrier.moods.refuses = 1.0
        await stage.ask("u2", "offer", "email")
        await world.rest(1000.0, hurries=True)
        (letter,) = _letters(world)
        assert letter.cause == "attempts_exhausted"
        world.carrier.moods.refuses = 0.0
        for pause_seconds in (0.0, 5.0):
            await asyncio.sleep(pause_seconds)
            replay = Replay(ingress=topics.REQUESTED.values(), now_ms=world.loop.now_ms())
            back = replay.of(letter)
            assert isinstance(back, PutBack)
            await world.produce(back.record)

    found = stage.play(story)

    assert [each.message.round for each in found.acceptances] == [1]
    ends = [(each.round, each.status) for each in found.receipts if _is_end(each)]
    assert sorted(ends) == [(0, "failed"), (1, "sent")]


def _letters(world: RealWorld) -> list[DeadLetter]:
    return [decode_dead_letter(each) for each in world.committed_records(topics.DEAD_LETTERS)]


def _is_end(receipt: Receipt) -> bool:
    return receipt.is_final or receipt.status == "sent"
