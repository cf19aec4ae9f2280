"""`Hindrances`: what may have kept a delivery from going out in time, as far as can be seen."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from proof.checker.evidence import Evidence
from proof.checker.pauses import Pauses
from proof.checker.troubles import Troubles

Calls = Mapping[str, Sequence[int]]
"""When each provider was called."""
_BUSY_SHARE = 4
"""A provider is called at least at this fraction of its rate where a line stands before it: a worker
has the rate's share of its partitions, and some who had a place never come for it."""
_RECOVERY_MS = 30_000
"""So long after a blow, a storm or a pause its role may still have much to catch up with."""
_NEXT_WINDOWS = 2
"""After a take-over nobody has tokens for a window; who comes then waits for the one after it."""
_INSTANT_MS = 500
"""What is told is told of the instant at which its batch began, which was a moment before."""


class Hindrances:
    def __init__(self, found: Evidence, pauses: Pauses, calls: Calls) -> None:
        self._troubles = Troubles(found.circumstances)
        self._lag_ms = found.circumstances.lag_ms
        self._pauses = pauses
        self._calls = calls
        self._sorted: dict[str, list[int]] = {}
        self._limits = [
            (provider, channel, *found.rules.rates[provider])
            for provider, channel in found.rules.channel_of.items()
            if provider in found.rules.rates
        ]

    def any_for(self, role: str, controls: Iterable[str], from_ms: int, until_ms: int) -> bool:
        """Of what this role, a channel's or that which decides, was to do in this span, and these
        controls can hold back."""
        since_ms = from_ms - min(self._lag_ms, _RECOVERY_MS)
        return (
            self._troubles.are_near(role, since_ms, until_ms, lag_ms=self._lag_ms)
            or self._pauses.any_between(controls, since_ms, until_ms)
            or self.is_in_line(role, from_ms, until_ms)
        )

    def is_in_line(self, channel: str, from_ms: int, until_ms: int) -> bool:
        """Whether a rate may have kept it waiting all the time."""
        for provider, of_channel, count, window_ms in self._limits:
            if of_channel == channel:
                length_ms = until_ms - from_ms
                at = self._called(provider)
                called = bisect_left(at, until_ms) - bisect_left(at, from_ms)
                is_busy = called * _BUSY_SHARE * window_ms >= length_ms * count
                if is_busy or length_ms <= _NEXT_WINDOWS * window_ms + _INSTANT_MS:
                    return True
        return False

    def _called(self, provider: str) -> list[int]:
        """In order, once somebody asks: there may be millions."""
        if provider not in self._sorted:
            self._sorted[provider] = sorted(self._calls.get(provider, ()))
        return self._sorted[provider]
