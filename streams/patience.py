"""Waiting for a Kafka that is away, and saying so: what is not answered is asked again.

Whoever waits for Kafka does it here, so it is decided here, too, whether it is away, which may
pass, or wrong, which lasts until somebody mends it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError

from streams.config_errors import ConfigInvalid
from streams.reaching import Unreachable

log = logging.getLogger("postrider.kafka")

AnswerT = TypeVar("AnswerT")
Tell = Callable[[float, str | None], None]
"""Told for how many seconds somebody has waited, and why; of None once nobody has to any more."""

_FAILURES = (KafkaError, TimeoutError, Unreachable)
_LOOK_SECONDS = 5.0
_TELL_AGAIN_SECONDS = 60.0
_WATCH_SECONDS = 1.0


class Patience:
    """One for a process: however many wait in it, it speaks with one voice.

    `reach` raises `Unreachable` when Kafka cannot be reached: those words are better than a
    client's, which knows only that nobody answered. `tell` is told each reason at once, and again
    once a minute while it lasts.
    """

    def __init__(
        self,
        reach: Callable[[], Awaitable[None]],
        tell: Tell,
        *,
        retry_seconds: float = 1.0,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reach = reach
        self._tell = tell
        self._retry_seconds = retry_seconds
        self._monotonic_seconds = monotonic_seconds
        self._waiting: set[object] = set()
        self._began = 0.0
        self._look_at = 0.0
        self._told: dict[str, float] = {}

    async def wait_for(self, ask: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """The answer, however long it takes; what asking again cannot mend is raised."""
        waiter = object()
        try:
            while True:
                try:
                    answer = await ask()
                    break
                except _FAILURES as error:
                    if not _is_away(error):
                        raise
                    self._begin(waiter)
                    await self._say_why(error)
                await asyncio.sleep(self._retry_seconds)
        except BaseException:  # nobody was answered, so there is nothing to say
            self._waiting.discard(waiter)
            raise
        self._end(waiter)
        return answer

    async def watch(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Ask now and then, for ever: beside somebody to whom silence and no news look the same."""
        while True:
            await self.wait_for(ask)
            await asyncio.sleep(_WATCH_SECONDS)

    def _begin(self, waiter: object) -> None:
        if not self._waiting:
            self._began = self._look_at = self._monotonic_seconds()
            self._told = {}
        self._waiting.add(waiter)

    def _end(self, waiter: object) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            if not self._waiting:
                self._tell(self._monotonic_seconds() - self._began, None)

    async def _say_why(self, error: Exception) -> None:
        now = self._monotonic_seconds()
        if now < self._look_at:  # somebody else has just looked
            return
        self._look_at = now + _LOOK_SECONDS
        why = await self._why(error)
        if now - self._told.get(why, float("-inf")) >= _TELL_AGAIN_SECONDS:
            self._told[why] = now
            self._tell(self._monotonic_seconds() - self._began, why)

    async def _why(self, error: Exception) -> str:
        if isinstance(error, Unreachable):
            return str(error)
        try:
            await self._reach()
        except (Unreachable, ConfigInvalid) as reason:  # files of TLS may be on the move
            return str(reason)
        return f"Kafka is not ready: {type(error).__name__}"


def into_log(seconds: float, why: str | None) -> None:
    """How a worker tells it."""
    if why is None:
        log.warning("Kafka answers again", extra={"seconds": round(seconds)})
    else:
        log.warning("waiting for Kafka", extra={"seconds": round(seconds), "why": why})


def _is_away(error: Exception) -> bool:
    match error:
        case Unreachable():
            return error.is_away
        case KafkaTimeoutError():
            return True
        case KafkaError():
            return bool(error.retriable)
        case _:
            return True  # nobody answered in time
