"""How often one recipient may be reached by one channel: a row that counts, and its limits.

One row per user and channel holds two things. A ring of small counters serves the rate limit
(60 an hour); counts of the user's present calendar day, by category, serve daily limits.

The ring divides the window in `SLOTS` parts and counts whole parts: never more than the limit
in any window, however it slides, and in exchange what was used comes back up to a twelfth of
the window late.
"""

from typing import Literal, NamedTuple

import msgspec

from policies.rules import RateLimit
from policies.zones import DAY_MS

SLOTS = 12

_FURTHEST_WEST_MS = 12 * 3_600_000
"""A calendar day ends this long after it does in UTC where it ends last."""


class Caps(NamedTuple):
    """What was decided for one user and channel. `NOTHING` is a user without a row."""

    day: int = 0
    """The local calendar day that `by_category` is about, as days since 1970-01-01."""
    by_category: tuple[tuple[str, int], ...] = ()
    slot_ms: int = 0
    """Width of a slot; counts made under another rate limit are void."""
    slot: int = 0
    """The newest slot's number: its start divided by its width."""
    counts: tuple[int, ...] = ()
    """Of the slots from the newest to older ones."""


NOTHING = Caps()
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Caps).decode


def exceeded(
    caps: Caps,
    *,
    now_ms: int,
    local_day: int,
    rate: RateLimit | None,
    category: str,
    category_limit: int | None,
    own_limit: int | None,
) -> Literal["rate_limited", "daily_limit"] | None:
    """The limit that one more would break. `own_limit` is of the channel, over all categories."""
    if rate is not None and _in_window(caps, now_ms, rate) >= rate.count:
        return "rate_limited"
    # A user who moved west is on an earlier day than was counted: that day's counts still hold.
    if caps.day < local_day:
        today = 0
        in_category = 0
    else:
        today = sum(count for _, count in caps.by_category)
        in_category = dict(caps.by_category).get(category, 0)
    if category_limit is not None and in_category >= category_limit:
        return "daily_limit"
    if own_limit is not None and today >= own_limit:
        return "daily_limit"
    return None


def count(
    caps: Caps, *, now_ms: int, local_day: int, rate: RateLimit | None, category: str | None
) -> Caps:
    """One more was decided. `category` None: it is mandatory, so it does not count for the day."""
    day, by_category = caps.day, caps.by_category
    if category is not None:
        if day < local_day:
            day, by_category = local_day, ((category, 1),)
        else:
            counts = dict(by_category)
            counts[category] = counts.get(category, 0) + 1
            by_category = tuple(counts.items())
    if rate is None:
        return Caps(day, by_category)
    slot_ms = _slot_ms(rate)
    slot = now_ms // slot_ms
    if caps.slot_ms != slot_ms or slot - caps.slot > SLOTS:
        return Caps(day, by_category, slot_ms, slot, (1,))
    if slot <= caps.slot:  # a clock that was set back counts where it has come from
        return Caps(day, by_category, slot_ms, caps.slot, (caps.counts[0] + 1, *caps.counts[1:]))
    passed = 1, *[0] * (slot - caps.slot - 1), *caps.counts
    return Caps(day, by_category, slot_ms, slot, passed[: SLOTS + 1])


def expiry_ms(caps: Caps) -> int:
    """From when on the row means nothing, whatever zone the user moves to."""
    day_ends_ms = (caps.day + 1) * DAY_MS + _FURTHEST_WEST_MS if caps.by_category else 0
    window_ends_ms = (caps.slot + SLOTS + 1) * caps.slot_ms
    return max(day_ends_ms, window_ends_ms)


def _slot_ms(rate: RateLimit) -> int:
    return max(1, -(-round(rate.window_seconds * 1000) // SLOTS))


def _in_window(caps: Caps, now_ms: int, rate: RateLimit) -> int:
    slot_ms = _slot_ms(rate)
    if caps.slot_ms != slot_ms:
        return 0
    age = now_ms // slot_ms - caps.slot
    # The slot that the window begins in counts as a whole.
    return sum(caps.counts[: max(0, SLOTS + 1 - max(0, age))])
