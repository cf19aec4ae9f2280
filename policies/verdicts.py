"""What is decided for one user and channel."""

from dataclasses import dataclass

from policies.reasons import Reason
from schemas.receipt import Status


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand it to the channel now, and count it."""


@dataclass(frozen=True, slots=True)
class Defer:
    """Decide again at `until_ms`, which is before the expiry."""

    until_ms: int
    reason: Reason
    is_counted: bool
    """True: it is decided and counts now, so the wake only rechecks. False: the wake decides
    it as if it came then (`scheduled`, and `daily_limit` where a category defers)."""


@dataclass(frozen=True, slots=True)
class Settle:
    """It is never sent. Not counted."""

    status: Status
    reason: Reason


Verdict = Deliver | Defer | Settle

DELIVER = Deliver()


def defer(until_ms: int, reason: Reason, expires_ms: int, *, is_counted: bool) -> Defer | Settle:
    """Until then, unless the expiry comes first."""
    if until_ms >= expires_ms:
        return Settle("expired", reason)
    return Defer(until_ms, reason, is_counted)
