"""Which of a batch's requests are new, said before, or another thing under the same key."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from tables import decisions
from tables.decisions import Seen
from tables.state import Row, State

Standing = Literal["new", "duplicate", "idempotency_conflict"]


class Asked(NamedTuple):
    """A request as deduplication sees it."""

    request_id: bytes
    appended_ms: int
    fingerprint: Callable[[], bytes] | None
    """What it asks for; None for a request without a key, which is like no other."""


class Dedup:
    """Judges one batch in order; the rows that remember it belong to the same yield.

    Only the append times of two records count, so a backlog is judged as if it had been read
    at once, and a record that was overtaken on a faster lane is still the same request.
    """

    def __init__(self, state: State, window_ms: int) -> None:
        self._state = state
        self._window_ms = window_ms
        self._seen: dict[bytes, Seen | None] = {}
        self._new: dict[bytes, Seen] = {}

    def load(self, asked: Sequence[Asked]) -> None:
        keyed = list({each.request_id: None for each in asked if each.fingerprint is not None})
        found = decisions.get_many(self._state, keyed)
        self._seen = dict(zip(keyed, found, strict=True))

    def judge(self, asked: Asked) -> Standing:
        if asked.fingerprint is None:
            return "new"
        seen = self._seen[asked.request_id]
        fingerprint = asked.fingerprint()
        if seen is not None and abs(asked.appended_ms - seen.appended_ms) < self._window_ms:
            return "duplicate" if seen.fingerprint == fingerprint else "idempotency_conflict"
        if seen is None or seen.appended_ms < asked.appended_ms:
            first = Seen(asked.appended_ms, fingerprint)
            self._seen[asked.request_id] = self._new[asked.request_id] = first
        return "new"

    def rows(self) -> list[Row]:
        return [decisions.put(each, seen, self._window_ms) for each, seen in self._new.items()]
