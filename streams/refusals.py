"""What a broker refuses of a transaction: which of several errors decides, and when to ask again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidProducerEpoch,
    KafkaError,
    OperationNotAttempted,
    ProducerFenced,
    RequestTimedOutError,
    for_code,
)

log = logging.getLogger("postrider.kafka")

_RETRY_SECONDS = 0.02
_MARKERS_SECONDS = 0.002
"""Until the ends of the last transaction are written everywhere, which is the rule and not the
exception for transactions back to back."""
_LONGEST_RETRY_SECONDS = 1.0
_TELL_AGAIN_SECONDS = 60.0
_PRODUCER_FENCED = 90
"""What newer versions of a request are told instead of `InvalidProducerEpoch`."""
_NETWORK_EXCEPTION = 13
"""A leader of Kafka 3 lost its connection to the coordinator; aiokafka takes it for something else."""
_UNKNOWN_SERVER_ERROR = -1


class BrokerFailed(KafkaError):  # type: ignore[misc]  # which has no types
    """Raised when a broker does not know itself what became of a request: one that hung, and was no
    coordinator any more when it woke. What it was asked may be done or not, so it is asked again: to
    register, to append and to end are done once, however often they are asked for. aiokafka takes
    it for good."""

    retriable = True


class OnceAMinute:
    """One for a process: a broker that is away holds up a transaction of every partition, and the
    first of them speaks for all."""

    def __init__(self, monotonic_seconds: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_seconds = monotonic_seconds
        self._told_at = float("-inf")

    def may_tell(self) -> bool:
        """Whether nobody has told within the last minute; then the caller does."""
        now = self._monotonic_seconds()
        if now - self._told_at < _TELL_AGAIN_SECONDS:
            return False
        self._told_at = now
        return True


class Retries:
    """Waits longer from one try to the next, and says so where that takes long."""

    def __init__(
        self, voice: OnceAMinute, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._voice = voice
        self._sleep = sleep
        self._seconds = 0.0
        self._waited_seconds = 0.0

    async def wait(self, error: KafkaError | None) -> None:
        """`error` is None where nobody answered, or nobody could be asked."""
        first = _MARKERS_SECONDS if isinstance(error, ConcurrentTransactions) else _RETRY_SECONDS
        self._seconds = min(max(first, 2 * self._seconds), _LONGEST_RETRY_SECONDS)
        self._waited_seconds += self._seconds
        if self._waited_seconds > _LONGEST_RETRY_SECONDS and self._voice.may_tell():
            log.warning("a transaction waits", extra={"why": repr(error)})
        await self._sleep(self._seconds)


def worst_of(codes: Iterable[tuple[str, int]]) -> KafkaError | None:
    """Of several errors the one that decides: that we are fenced, what cannot be mended, what
    another leader mends, what passes."""
    errors = [_error(code, about) for about, code in codes if code]
    return min(errors, key=_rank, default=None)


def _error(code: int, about: str) -> KafkaError:
    error: KafkaError = for_code(code)(about)
    if code == _PRODUCER_FENCED or isinstance(error, InvalidProducerEpoch):
        return ProducerFenced(about)
    if code == _UNKNOWN_SERVER_ERROR:
        return BrokerFailed(about)
    return RequestTimedOutError(about) if code == _NETWORK_EXCEPTION else error


def _rank(error: KafkaError) -> int:
    match error:
        case ProducerFenced():
            return 0
        case ConcurrentTransactions():
            return 3
        case OperationNotAttempted():  # because of another error of the same request
            return 5
        case _ if not error.retriable:
            return 1
        case _:
            return 2 if error.invalid_metadata else 4
