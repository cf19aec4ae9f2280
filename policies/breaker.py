"""A circuit breaker: stops calling a provider that fails or has become slow, and probes it.

Failures and latencies of the last seconds are kept in one-second slots. It opens when too
many calls fail, or when the 95th percentile of latency is a multiple of what it used to be;
then one call at a time probes, until one is answered well.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

_BUCKETS_PER_DOUBLING = 4
"""Latencies are known to within a fifth, which is fine enough to see them treble."""
_BUCKETS = 80
_SLOT_MS = 1_000
_SECOND_WEIGHT = 0.005
"""How much of a second's latency goes into the baseline: it forgets within some minutes."""
_PROBE_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open, and how to come back."""

    error_ratio: float = 0.5
    slow_factor: float = 3.0
    """Times the baseline's 95th percentile."""
    window_seconds: int = 20
    probe_seconds: float = 5.0
    min_calls: int = 20
    """With fewer calls in the window nothing can be said."""
    slow_floor_ms: int = 200
    """What is faster than this is never slow: three times very little is little."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Call; a probe's answer decides whether the breaker closes."""

    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Do not call; ask again after this time."""

    wait_ms: int


@dataclass(slots=True)
class _Slot:
    """The calls that ended within one second."""

    number: int
    calls: int = 0
    errors: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * _BUCKETS)


class Breaker:
    """For one provider. The caller tells the time, and every call's end by `record`."""

    def __init__(self, settings: BreakerSettings = BreakerSettings()) -> None:
        self._settings = settings
        self._slots: deque[_Slot] = deque()
        self._baseline_ms = 0.0
        self._opened_by: Literal["", "errors", "latency"] = ""
        self._next_probe_ms = 0

    @property
    def opened_by(self) -> Literal["", "errors", "latency"]:
        """Why it is open; "" while it is closed."""
        return self._opened_by

    def ask(self, now_ms: int) -> Allowed | Refused:
        """May a call be made now? Asking for a probe uses it up, so ask only when about to call."""
        if not self._opened_by:
            return Allowed()
        if now_ms < self._next_probe_ms:
            return Refused(self._next_probe_ms - now_ms)
        self._next_probe_ms = now_ms + round(self._settings.probe_seconds * 1000)
        return Allowed(is_probe=True)

    def record(
        self, now_ms: int, *, is_error: bool, latency_ms: float, is_probe: bool = False
    ) -> None:
        """A call has ended. An error is the provider's: unreachable, a 5xx, no answer in time;
        a refusal of one message or a 429 is not."""
        if self._opened_by:
            if is_probe and not is_error:
                self._judge_probe(latency_ms)
            return  # calls begun before it opened tell nothing new
        slot = self._slot(now_ms // _SLOT_MS)
        slot.calls += 1
        slot.errors += is_error
        slot.latencies[_bucket(latency_ms)] += 1
        if is_error:
            self._judge_errors(now_ms)

    def _slot(self, number: int) -> _Slot:
        """The present second's; when a second has gone by, latency is judged."""
        slots = self._slots
        if slots and slots[-1].number >= number:
            return slots[-1]
        while slots and slots[0].number <= number - self._settings.window_seconds:
            slots.popleft()
        self._judge_latency(number * _SLOT_MS)
        if self._opened_by:
            return _Slot(number)
        slots.append(_Slot(number))
        return slots[-1]

    def _judge_probe(self, latency_ms: float) -> None:
        if self._is_slow(latency_ms):
            # A provider that stays slower is called again in the end: late is better than never.
            self._baseline_ms += (latency_ms - self._baseline_ms) * _PROBE_WEIGHT
        else:
            self._opened_by = ""

    def _judge_errors(self, now_ms: int) -> None:
        calls = sum(slot.calls for slot in self._slots)
        errors = sum(slot.errors for slot in self._slots)
        if calls >= self._settings.min_calls and errors >= calls * self._settings.error_ratio:
            self._open("errors", now_ms)

    def _judge_latency(self, now_ms: int) -> None:
        calls = sum(slot.calls for slot in self._slots)
        if calls < self._settings.min_calls:
            return
        p95_ms = _percentile_ms([slot.latencies for slot in self._slots], calls * 0.95)
        if self._is_slow(p95_ms):
            self._open("latency", now_ms)
        elif self._baseline_ms:
            # Follows slowly: a provider that degrades over minutes must still be noticed.
            self._baseline_ms += (p95_ms - self._baseline_ms) * _SECOND_WEIGHT
        else:
            self._baseline_ms = p95_ms

    def _is_slow(self, latency_ms: float) -> bool:
        limit_ms = max(self._baseline_ms * self._settings.slow_factor, self._settings.slow_floor_ms)
        return self._baseline_ms > 0 and latency_ms > limit_ms

    def _open(self, why: Literal["errors", "latency"], now_ms: int) -> None:
        self._opened_by = why
        self._next_probe_ms = now_ms + round(self._settings.probe_seconds * 1000)
        self._slots.clear()


def _bucket(latency_ms: float) -> int:
    if latency_ms <= 1:
        return 0
    return min(_BUCKETS - 1, math.ceil(math.log2(latency_ms) * _BUCKETS_PER_DOUBLING))


def _percentile_ms(histograms: list[list[int]], rank: float) -> float:
    """The upper bound of the bucket that the rank falls into."""
    passed = 0
    for bucket in range(_BUCKETS):
        passed += sum(histogram[bucket] for histogram in histograms)
        if passed >= rank:
            return float(2 ** (bucket / _BUCKETS_PER_DOUBLING))
    return float(2 ** (_BUCKETS / _BUCKETS_PER_DOUBLING))
