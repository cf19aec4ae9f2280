"""What follows from what a provider said: sent, another call at some instant, or the end.

Attempts are made at once, after 30 s, 2 min and 10 min. A call that was certainly not
processed because of load, or because of ourselves, costs no attempt: it is repeated, ever more
slowly, until the delivery expires.
"""

import zlib
from dataclasses import dataclass
from typing import assert_never

from policies.rules import InDoubt
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
    Unknown,
)
from schemas.receipt import Status

LADDER_MS = (30_000, 120_000, 600_000)
"""The wait after the first, second and third attempt; a fourth is the last."""
MAX_ATTEMPTS = len(LADDER_MS) + 1

_JITTER = 0.1
"""What failed together must not come back together."""
_MIN_BACKOFF_MS = 1_000
_MAX_BACKOFF_MS = 300_000
_MAX_RETRY_AFTER_MS = 86_400_000
"""A provider's daily quota comes back within a day; a longer wait is taken for a mistake."""
_OUR_OWN = ("draining", "spoilt")
"""Why a call was not made, though nothing is wrong with the provider."""
MISCONFIGURED_RETRY_MS = 60_000
"""Bad credentials are tried this often, so that mending them is all it takes."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider has it."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Call again at `due_ms`, as this attempt and this call, unless something stops it by then."""

    due_ms: int
    attempt: int
    call: int
    reason: str
    is_in_doubt: bool = False
    """It may have been sent already: the second call must be reported."""
    free_calls: int = 0
    """The last calls, one after the other, that the provider did not take and that cost no attempt."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Our side is at fault: alert, keep the delivery, and try this call again at `due_ms`."""

    due_ms: int
    call: int
    reason: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The end. `failed` goes on with a fallback channel where there is one; `expired` does not."""

    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class InDoubtFor:
    """The end: nobody can know whether it was sent, until a report of the provider tells."""

    reason: str
    may_fall_back: bool
    """The type would rather be told twice than not at all, so another channel may go on."""


Next = Sent | RetryAt | Hold | Settled | InDoubtFor


def after(
    outcome: Outcome,
    *,
    attempt: int,
    call: int,
    free_calls: int,
    unit_id: bytes,
    expires_ms: int,
    in_doubt: InDoubt,
    now_ms: int,
) -> Next:
    """Decide on the outcome of the call-th call, made as the attempt-th attempt (both from 1); the last
    `free_calls` before it were refused, and cost none."""
    match outcome:
        case Accepted():
            return Sent()
        case AddressInvalid():
            return Settled("failed", "address_invalid")
        case Rejected():
            return Settled("failed", outcome.reason)
        case Misconfigured():
            due_ms = now_ms + MISCONFIGURED_RETRY_MS
            if due_ms >= expires_ms:
                return Settled("expired", "provider_misconfigured")
            return Hold(due_ms, call + 1, outcome.reason)
        case NotProcessed(consumes_attempt=False):
            wait_ms = _told_ms(outcome)
            if outcome.reason not in _OUR_OWN:
                wait_ms = _backoff_ms(wait_ms, call, free_calls, unit_id)
                free_calls += 1
            if now_ms + wait_ms >= expires_ms:
                return Settled("expired", outcome.reason)
            return RetryAt(
                now_ms + wait_ms, attempt, call + 1, outcome.reason, free_calls=free_calls
            )
        case NotProcessed():
            delay_ms = ladder_delay_ms(attempt, call, unit_id)
            if delay_ms is None:
                return Settled("failed", "attempts_exhausted")
            due_ms = now_ms + max(delay_ms, _told_ms(outcome))
            if due_ms >= expires_ms:
                return Settled("expired", outcome.reason)
            return RetryAt(due_ms, attempt + 1, call + 1, outcome.reason)
        case Unknown():
            return after_doubt(
                outcome.reason,
                attempt=attempt,
                call=call,
                unit_id=unit_id,
                expires_ms=expires_ms,
                in_doubt=in_doubt,
                now_ms=now_ms,
            )
        case _:
            assert_never(outcome)


def after_doubt(
    reason: str,
    *,
    attempt: int,
    call: int,
    unit_id: bytes,
    expires_ms: int,
    in_doubt: InDoubt,
    now_ms: int,
) -> RetryAt | InDoubtFor:
    """Nobody can know whether the provider took it. Never `failed`: it may have arrived."""
    if in_doubt == "hold":
        return InDoubtFor(reason, may_fall_back=False)
    delay_ms = ladder_delay_ms(attempt, call, unit_id)
    if delay_ms is None or now_ms + delay_ms >= expires_ms:
        return InDoubtFor(reason, may_fall_back=delay_ms is None)
    return RetryAt(now_ms + delay_ms, attempt + 1, call + 1, reason, is_in_doubt=True)


def ladder_delay_ms(attempt: int, call: int, unit_id: bytes) -> int | None:
    """The wait between this attempt and the next; None when this was the last."""
    if attempt >= MAX_ATTEMPTS:
        return None
    spread = 1 - _JITTER + 2 * _JITTER * _chance(unit_id, call)
    return round(LADDER_MS[attempt - 1] * spread)


def _backoff_ms(told_ms: int, call: int, free_calls: int, unit_id: bytes) -> int:
    """Doubles with each call that cost no attempt; never shorter than the provider asked for."""
    own_ms = min(_MIN_BACKOFF_MS << min(free_calls, 16), _MAX_BACKOFF_MS)
    return round(max(own_ms, told_ms) * (1 + _JITTER * _chance(unit_id, call)))


def _told_ms(outcome: NotProcessed) -> int:
    return min(round(outcome.retry_after_seconds * 1000), _MAX_RETRY_AFTER_MS)


def _chance(unit_id: bytes, call: int) -> float:
    """From 0 to 1, the same whenever it is asked: a batch decided again keeps its due times."""
    return zlib.crc32(call.to_bytes(4, "big"), zlib.crc32(unit_id)) / 0xFFFFFFFF
