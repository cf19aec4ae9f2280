"""What the page shows: the latest messages and the counts of each provider, in memory."""

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sandbox.providers.base import Accepted, Message

MAX_MESSAGES = 200
"""Kept of each channel; the ledger has all of them."""
MAX_SHOWN_OF_BATCH = 5
RATE_SECONDS = 5


@dataclass
class ProviderStats:
    """Counts since the start."""

    requests: int = 0
    accepted: int = 0
    """Messages, not requests."""
    unanswered: int = 0
    """Replies to accepted requests that did not reach their client."""
    refused: Counter[str] = field(default_factory=Counter)
    """Replies that were not an acceptance, by HTTP status."""
    faults: Counter[str] = field(default_factory=Counter)
    """Faults done on demand, by effect."""
    _seconds: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=RATE_SECONDS + 1))

    def count(self, messages: int, now: float) -> None:
        self.accepted += messages
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            messages += self._seconds.pop()[1]
        self._seconds.append((second, messages))

    def rate(self, now: float) -> float:
        """Messages a second, over the last whole seconds."""
        second = int(now)
        recent = (n for at, n in self._seconds if second - RATE_SECONDS <= at < second)
        return sum(recent) / RATE_SECONDS

    def describe(self, now: float) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "accepted": self.accepted,
            "unanswered": self.unanswered,
            "rate": round(self.rate(now), 1),
            "refused": dict(self.refused),
            "faults": dict(self.faults),
        }


class Feed:
    """The last messages of each channel, newest first when asked."""

    def __init__(self) -> None:
        self.providers: dict[str, ProviderStats] = {}
        self._messages: dict[str, deque[Message]] = {}
        self._last_id = 0

    def stats(self, provider: str) -> ProviderStats:
        stats = self.providers.get(provider)
        if stats is None:
            stats = self.providers[provider] = ProviderStats()
        return stats

    def add(self, provider: str, accepted: Accepted, now: float, *, is_answered: bool) -> None:
        """Keep what the page shows of an accepted request."""
        self.stats(provider).count(len(accepted.addresses), now)
        for message in accepted.preview(MAX_SHOWN_OF_BATCH):
            self._last_id += 1
            message.id = self._last_id
            message.at_ms = int(now * 1000)
            message.provider = provider
            message.is_answered = is_answered
            kept = self._messages.setdefault(message.channel, deque(maxlen=MAX_MESSAGES))
            kept.append(message)

    def messages(
        self, *, channel: str = "", user: str = "", after_id: int = 0, limit: int = 100
    ) -> list[Message]:
        """Newest first; `user` is a user id, or a part of an address."""
        kept = [self._messages.get(channel, deque())] if channel else self._messages.values()
        found = (
            message
            for messages in kept
            for message in islice(reversed(messages), limit if not user else None)
            if message.id > after_id and (not user or user == message.user or user in message.to)
        )
        return sorted(found, key=lambda message: -message.id)[:limit]

    @property
    def last_id(self) -> int:
        return self._last_id

    def describe(self, now: float) -> dict[str, Any]:
        return {name: stats.describe(now) for name, stats in self.providers.items()}
