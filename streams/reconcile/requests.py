"""The requests of a cohort, and what became of each."""

import enum
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence

from schemas import ids
from schemas.forwarding import Origin


class Fate(enum.IntEnum):
    """What is known of a request; of two, the greater one holds."""

    LOST = 0
    """It was read, and nothing tells what for."""
    WAITING = 1
    """Nobody has read it yet."""
    REJECTED = 2
    """A receipt or a dead letter says why."""
    DECIDED = 3
    """There are deliveries of it (of a broadcast: commands to expand it)."""
    CONFLICT = 4
    DUPLICATE = 5


class Requests:
    """Each is known by the record it was first appended as, a repeated key by several.

    Some millions are kept at once: parallel arrays hold what is known of each, and a dict the
    place of each id. Requests with one id form a ring in the order they were added; the dict
    points at the last one found, since their receipts come in about that order too.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)
        self._last: dict[bytes, int] = {}
        self._next = array("i")
        self._topic = array("b")
        self._partition = array("i")
        self._offset = array("q")
        self._part = array("h")
        self._appended_ms = array("q")
        self._fate = bytearray()

    def __len__(self) -> int:
        return len(self._fate)

    def add(self, request_id: bytes, origin: Origin, fate: Fate) -> None:
        """A record of the cohort; an empty id stands for one that could not be read."""
        place = len(self._fate)
        self._topic.append(self._topics.index(origin.topic))
        self._partition.append(origin.partition)
        self._offset.append(origin.offset)
        self._part.append(origin.part)
        self._appended_ms.append(origin.appended_ms)
        self._fate.append(fate)
        self._next.append(place)
        if request_id:
            last = self._last.get(request_id)
            if last is not None:
                self._next[place], self._next[last] = self._next[last], place
            self._last[request_id] = place

    def add_again(self, request_id: bytes, origin: Origin, fate: Fate) -> None:
        """A record that was put back where it speaks for its origin: counted if that was not."""
        for place in self._ring(request_id):
            if self._origin(place) == origin:
                self._raise(place, fate)
                return
        self.add(request_id, origin, fate)

    def decided_as(
        self, request_id: bytes, notification_id: bytes, channel: str, delivery_id: bytes
    ) -> bool:
        """Take note of a delivery; False when it is not of this cohort.

        `request_id` is the notification's own id, or that of its broadcast. Repeats appended in
        one millisecond cannot be told apart by the delivery: all of them are taken for decided
        until their own receipts say which ones were duplicates.
        """
        is_found = False
        for place in self._ring(request_id):
            appended_ms = self._appended_ms[place]
            if ids.delivery_id(notification_id, channel, appended_ms) == delivery_id:
                self._raise(place, Fate.DECIDED)
                is_found = True
        return is_found

    def accepted(self, broadcast_id: bytes, accepted_ms: int) -> None:
        """Take note of a command that expands a broadcast."""
        for place in self._ring(broadcast_id):
            if self._appended_ms[place] == accepted_ms:
                self._raise(place, Fate.DECIDED)

    def refused(self, request_id: bytes, receipt_id: bytes, status: str, reason: str) -> None:
        """Take note of a receipt about a request; its id tells about which of the repeats."""
        for place in self._ring(request_id):
            origin = str(self._origin(place))
            fact = ids.receipt_fact(status, reason=reason, detail=origin)
            if ids.receipt_id(request_id, fact) == receipt_id:
                self._raise(place, _fate_of(status, reason))
                self._last[request_id] = place
                return

    def counts(self) -> Counter[Fate]:
        return Counter(map(Fate, self._fate))

    def lost(self) -> Iterator[Origin]:
        place = self._fate.find(Fate.LOST)
        while place >= 0:
            yield self._origin(place)
            place = self._fate.find(Fate.LOST, place + 1)

    def _ring(self, request_id: bytes) -> Iterator[int]:
        """From the one after the last found."""
        last = self._last.get(request_id)
        if last is None:
            return
        place = self._next[last]
        while place != last:
            yield place
            place = self._next[place]
        yield last

    def _raise(self, place: int, fate: Fate) -> None:
        self._fate[place] = max(self._fate[place], fate)

    def _origin(self, place: int) -> Origin:
        return Origin(
            self._topics[self._topic[place]],
            self._partition[place],
            self._offset[place],
            self._appended_ms[place],
            self._part[place],
        )


def _fate_of(status: str, reason: str) -> Fate:
    if status == "duplicate":
        return Fate.DUPLICATE
    return Fate.CONFLICT if reason == "idempotency_conflict" else Fate.REJECTED
