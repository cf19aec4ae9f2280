"""Says why nothing is heard of Kafka, as long as it lasts: its clients wait without a word."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from streams.config_errors import ConfigInvalid
from streams.reaching import Unreachable

log = logging.getLogger("postrider.kafka")

_AGAIN_SECONDS = 60.0
_LOOK_SECONDS = 5.0


class Reminder:
    """Passes on a reason when it is a new one, and again every minute."""

    def __init__(
        self,
        tell: Callable[[str], None],
        *,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._monotonic_seconds = monotonic_seconds
        self._told = ""
        self._told_at = float("-inf")

    def note(self, why: str) -> None:
        now = self._monotonic_seconds()
        if why != self._told or now - self._told_at >= _AGAIN_SECONDS:
            self._tell(why)
            self._told, self._told_at = why, now


async def tell_outages(
    reach: Callable[[], Awaitable[None]],
    is_heard: Callable[[], bool],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Look for ever; ask only while nothing is heard, since that alone is dear."""
    reminder: Reminder | None = None
    while True:
        await asyncio.sleep(look_seconds)
        if is_heard():
            if reminder is not None:
                log.info("Kafka answers again")
            reminder = None
            continue
        try:
            await reach()
        except (Unreachable, ConfigInvalid) as error:  # files of TLS may be on the move
            reminder = reminder or Reminder(_warn)
            reminder.note(str(error))


def _warn(why: str) -> None:
    log.warning("waiting for Kafka", extra={"why": why})
