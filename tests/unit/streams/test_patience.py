"""What is not answered is asked again, and said; what asking again cannot mend is raised."""

import asyncio
import json
import logging
from collections.abc import Iterator
from itertools import cycle, repeat

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)

from streams import logs
from streams.config_errors import ConfigInvalid
from streams.patience import Patience, into_log
from streams.reaching import Unreachable
from tests.doubles.said import Said

AWAY = "kafka.bootstrap: no Kafka answers"
WRONG = "kafka.security.password: refused"


class Kafka:
    """Answers after these errors, a second apart; whoever looks meanwhile finds these reasons."""

    def __init__(self, *errors: Exception) -> None:
        self.reasons: Iterator[Exception | None] = repeat(Unreachable(AWAY, is_away=True))
        self.now_seconds = 0.0
        self.said = Said()
        self.patience = self.asked_again_after(0)
        self._errors = list(errors)

    async def ask(self) -> str:
        self.now_seconds += 1
        if self._errors:
            raise self._errors.pop(0)
        return "answer"

    def asked_again_after(self, seconds: float) -> Patience:
        return Patience(
            self._look,
            self.said,
            retry_seconds=seconds,
            monotonic_seconds=lambda: self.now_seconds,
        )

    async def _look(self) -> None:
        if (reason := next(self.reasons)) is not None:
            raise reason


async def test_silence_is_told_at_once_and_so_is_its_end() -> None:
    kafka = Kafka(KafkaConnectionError(), TimeoutError(), KafkaTimeoutError())

    assert await kafka.patience.wait_for(kafka.ask) == "answer"

    assert kafka.said.whys == [AWAY, None]


async def test_silence_that_lasts_is_told_again_every_minute() -> None:
    kafka = Kafka(*[TimeoutError()] * 125)

    await kafka.patience.wait_for(kafka.ask)

    assert kafka.said.whys == [AWAY, AWAY, AWAY, None]


async def test_another_reason_is_told_soon_and_each_once_a_minute() -> None:
    kafka = Kafka(*[TimeoutError()] * 50)
    kafka.reasons = cycle([Unreachable(AWAY, is_away=True), Unreachable(WRONG)])

    await kafka.patience.wait_for(kafka.ask)

    assert kafka.said.whys == [AWAY, WRONG, None]


async def test_all_who_wait_speak_with_one_voice_and_the_last_says_that_it_is_over() -> None:
    kafka = Kafka(*[TimeoutError()] * 30)

    await asyncio.gather(*(kafka.patience.wait_for(kafka.ask) for _ in range(10)))

    assert kafka.said.whys == [AWAY, None]


async def test_who_is_answered_at_once_hears_nothing() -> None:
    kafka = Kafka()

    await kafka.patience.wait_for(kafka.ask)

    assert kafka.said.whys == []


async def test_who_gives_up_does_not_say_that_kafka_answers() -> None:
    kafka = Kafka(TimeoutError())
    waiting = asyncio.create_task(kafka.asked_again_after(1000).wait_for(kafka.ask))
    await kafka.said.next()

    waiting.cancel()
    await asyncio.wait([waiting])

    assert kafka.said.whys == [AWAY]


@pytest.mark.parametrize(
    ("error", "reason", "told"),
    [
        # what whoever asks knows better
        (Unreachable("elsewhere", is_away=True), Unreachable(AWAY, is_away=True), "elsewhere"),
        # Kafka is there, and a partition has no leader
        (NotLeaderForPartitionError(), None, "Kafka is not ready: NotLeaderForPartitionError"),
        # a connection that lasts no longer: who runs waits for whoever mends it
        (TimeoutError(), Unreachable(WRONG), WRONG),
        (TimeoutError(), ConfigInvalid(["kafka.security.key: gone"]), "kafka.security.key: gone"),
    ],
)
async def test_it_is_said_why_nobody_answers(
    error: Exception, reason: Exception | None, told: str
) -> None:
    kafka = Kafka(error)
    kafka.reasons = repeat(reason)

    await kafka.patience.wait_for(kafka.ask)

    assert kafka.said.whys == [told, None]


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError(), Unreachable(WRONG)])
async def test_what_somebody_must_mend_is_raised(error: Exception) -> None:
    kafka = Kafka(error)

    with pytest.raises(type(error)):
        await kafka.patience.wait_for(kafka.ask)

    assert kafka.said.whys == []


async def test_who_only_watches_says_when_kafka_goes_away() -> None:
    kafka = Kafka(TimeoutError())
    watching = asyncio.create_task(kafka.patience.watch(kafka.ask))

    assert await kafka.said.next() == AWAY
    assert await kafka.said.next() is None
    watching.cancel()


async def test_a_worker_logs_why_it_waits_and_that_it_need_not_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        into_log(61.2, AWAY)
        into_log(62.0, None)

    waiting, back = (json.loads(logs.JsonLines().format(each)) for each in caplog.records)
    assert (waiting["message"], waiting["why"]) == ("waiting for Kafka", AWAY)
    assert (back["message"], back["seconds"]) == ("Kafka answers again", 62)
