"""Waiting a broker out: what is not answered is asked again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError

log = logging.getLogger("postrider.kafka")

AnswerT = TypeVar("AnswerT")
Tell = Callable[[float, str | None], None]
"""Told for how many seconds nobody has answered, and why; of None once somebody does again."""

_LOOK_SECONDS = 1.0
_TELL_AGAIN_SECONDS = 60.0


async def patiently(
    ask: Callable[[], Awaitable[AnswerT]],
    tell: Tell = lambda seconds, why: None,
    *,
    retry_seconds: float = 1.0,
) -> AnswerT:
    """The answer, however long it takes; what asking again cannot mend is raised.

    `tell` is called when an attempt was in vain, once a minute at most, and at the end.
    """
    began = time.monotonic()
    tell_at = began
    while True:
        try:
            answer = await ask()
        except (KafkaError, TimeoutError) as error:
            if not _is_silence(error):
                raise
            now = time.monotonic()
            if now >= tell_at:
                tell(now - began, type(error).__name__)
                tell_at = now + _TELL_AGAIN_SECONDS
        else:
            if tell_at > began:
                tell(time.monotonic() - began, None)
            return answer
        await asyncio.sleep(retry_seconds)


async def watch(ask: Callable[[], Awaitable[object]], tell: Tell) -> None:
    """Ask now and then, for ever: beside somebody to whom silence and no news look the same."""
    while True:
        await patiently(ask, tell)
        await asyncio.sleep(_LOOK_SECONDS)


def into_log(connection: Mapping[str, Any]) -> Tell:
    """How a worker tells it."""
    servers = connection["bootstrap_servers"]

    def tell(seconds: float, why: str | None) -> None:
        said = {"servers": servers, "seconds": round(seconds)}
        if why is None:
            log.warning("Kafka answers again", extra=said)
        else:
            log.warning("waiting for Kafka", extra=said | {"why": why})

    return tell


def _is_silence(error: KafkaError | TimeoutError) -> bool:
    return not isinstance(error, KafkaError) or (
        error.retriable or isinstance(error, KafkaTimeoutError)
    )
