"""What is not answered is asked again, and said; what asking again cannot mend is raised."""

import json
import logging

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)

from streams import logs
from streams.patience import Tell, into_log, patiently


class Kafka:
    """Answers after these errors."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def ask(self) -> str:
        if self._errors:
            raise self._errors.pop(0)
        return "answer"


async def answer_of(kafka: Kafka, tell: Tell = lambda seconds, why: None) -> str:
    return await patiently(kafka.ask, tell, retry_seconds=0)


async def test_silence_is_told_once_a_minute_and_its_end_too() -> None:
    told: list[str | None] = []
    kafka = Kafka(KafkaConnectionError(), TimeoutError(), KafkaTimeoutError())

    assert await answer_of(kafka, lambda seconds, why: told.append(why)) == "answer"

    assert told == ["KafkaConnectionError", None]


async def test_who_is_answered_at_once_hears_nothing() -> None:
    told: list[str | None] = []

    await answer_of(Kafka(), lambda seconds, why: told.append(why))

    assert told == []


async def test_a_partition_without_a_leader_is_waited_for() -> None:
    assert await answer_of(Kafka(NotLeaderForPartitionError())) == "answer"


async def test_a_refusal_is_raised() -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await answer_of(Kafka(TopicAuthorizationFailedError()))


async def test_a_worker_says_where_it_looks_for_kafka_and_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tell = into_log({"bootstrap_servers": "kafka:9092", "sasl_plain_password": "secret"})

    with caplog.at_level(logging.INFO):
        await answer_of(Kafka(KafkaConnectionError()), tell)

    waiting, back = (json.loads(logs.JsonLines().format(each)) for each in caplog.records)
    assert (waiting["message"], waiting["servers"]) == ("waiting for Kafka", "kafka:9092")
    assert waiting["why"] == "KafkaConnectionError"
    assert back["message"] == "Kafka answers again"
